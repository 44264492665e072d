import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.auth.service import authenticate
from app.auth.sessions import InvalidToken
from app.database.transactions import Database
from app.users.models import User
from tests.factories import make_token


async def test_tokens_are_random(session: AsyncSession, user: User) -> None:
    assert len({await make_token(session, user) for _ in range(10)}) == 10


async def test_authenticate_knows_the_session_of_each_token(
    session: AsyncSession, database: Database, user: User
) -> None:
    logins = [
        await authenticate(session, database, await make_token(session, user)) for _ in range(2)
    ]
    assert [login.user.id for login in logins] == [user.id] * 2
    assert logins[0].session_id != logins[1].session_id
    assert logins[0].is_recent


async def test_authenticate_refuses_the_stored_hash(
    session: AsyncSession, database: Database, user: User
) -> None:
    login = await authenticate(session, database, await make_token(session, user))
    stored = await session.get_one(LoginSession, login.session_id)
    with pytest.raises(InvalidToken):
        await authenticate(session, database, f"ust_{stored.token_hash.hex()[:43]}")


async def test_authenticate_refuses_a_deactivated_user(
    session: AsyncSession, database: Database, user: User
) -> None:
    token = await make_token(session, user)
    user.is_active = False
    await session.commit()
    with pytest.raises(InvalidToken):
        await authenticate(session, database, token)
