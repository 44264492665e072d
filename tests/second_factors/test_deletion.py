"""A deletion that can be taken back, of an account with a second factor."""

from httpx2 import AsyncClient
from sqlalchemy import Interval, cast, func, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.factories import reload_user
from tests.problems import read_problem
from tests.second_factors.factories import add_totp, give_code, give_password, make_code


async def test_password_alone_does_not_take_it_back(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    tomorrow = func.now() + cast("1 day", Interval)
    await session.exec(update(User).values(is_active=False, deletion_due_at=tomorrow))
    await session.commit()
    problem = read_problem(await give_password(client, user), 403, "second_factor_required")
    assert not (await reload_user(session, user)).is_active
    answer = await give_code(client, problem["challenge"], make_code(secret))
    assert answer.status_code == 200
    assert (await reload_user(session, user)).is_active
