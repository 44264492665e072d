"""What of second factors is deleted when it has served its time, and what stays."""

from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.purge import purge_expired
from app.database.transactions import Database
from app.second_factors.models import LoginChallenge, Totp
from app.second_factors.purge import EXPIRED
from app.users.models import User
from tests.factories import earlier, make_user
from tests.second_factors.factories import add_totp, make_challenge


async def test_what_was_not_finished_is_deleted(
    database: Database, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    await add_totp(session, await make_user(session), is_confirmed=False)
    await make_challenge(session, user)
    assert await purge_expired(database, of_features=EXPIRED) == 0
    await session.exec(update(Totp).values(expires_at=earlier(Totp.expires_at, "16 minutes")))
    expires_at = earlier(LoginChallenge.expires_at, "16 minutes")
    await session.exec(update(LoginChallenge).values(expires_at=expires_at))
    await session.commit()
    assert await purge_expired(database, of_features=EXPIRED) == 2
    assert list(await session.exec(select(Totp.user_id))) == [user.id]
