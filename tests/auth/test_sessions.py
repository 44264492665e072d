"""Login sessions: how many there are, who sees them, and what ends them."""

from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.users.models import User
from tests.auth.accounts import AUTH, ME, log_in
from tests.factories import (
    make_token,
    make_user,
    move_login_back,
)
from tests.problems import read_problem


async def test_log_in_keeps_the_twenty_sessions_used_last(
    client: AsyncClient, session: AsyncSession
) -> None:
    user, other = await make_user(session), await make_user(session)
    await make_token(session, other)
    for age in range(21):
        await make_token(session, user)
        newest = select(func.max(LoginSession.last_used_at)).scalar_subquery()
        await session.exec(
            update(LoginSession)
            .where(col(LoginSession.last_used_at) == newest, col(LoginSession.user_id) == user.id)
            .values(last_used_at=text(f"now() - interval '{age + 1} hours'"), address=str(age))
        )
    assert (await log_in(client, user.email)).status_code == 200
    mine = select(LoginSession.address).where(LoginSession.user_id == user.id)
    assert set(await session.exec(mine)) == {"127.0.0.1", *map(str, range(19))}
    theirs = select(LoginSession.address).where(LoginSession.user_id == other.id)
    assert len(list(await session.exec(theirs))) == 1


async def test_log_in_ends_no_session_that_is_in_use(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    # Used all the time, which is written every five minutes.
    await move_login_back(session, user, created_at="1 hour", last_used_at="4 minutes")
    for _ in range(25):
        await make_token(session, user)
    assert (await user_client.get(ME)).status_code == 200


async def test_log_in_never_ends_the_session_it_starts(
    client: AsyncClient, session: AsyncSession
) -> None:
    # As when its transaction is the first to start and the last to get the user's lock.
    user = await make_user(session)
    for _ in range(20):
        await make_token(session, user)
    await move_login_back(session, user, last_used_at="-1 second")
    token = (await log_in(client, user.email)).json()["access_token"]
    me = await client.get(ME, headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200, me.text
    assert len(list(await session.exec(select(LoginSession.id)))) == 20


async def test_log_in_drops_expired_sessions_first(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await make_token(session, user)
    await move_login_back(session, user, expires_at="31 days", last_used_at="-1 second")
    await session.exec(update(LoginSession).values(address="expired"))
    for _ in range(19):
        await make_token(session, user)
    assert (await log_in(client, user.email)).status_code == 200
    assert "expired" not in set(await session.exec(select(LoginSession.address)))


async def test_log_out_ends_this_session_only(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    response = await user_client.post(f"{AUTH}/logout")
    assert response.status_code == 204, response.text
    read_problem(await user_client.get(ME), 401, "invalid_token")
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    assert me.status_code == 200


async def test_list_sessions_returns_the_live_ones_used_last_first(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    for instants in ({"expires_at": "31 days"}, {"last_used_at": "7 days 1 second"}):
        await move_login_back(session, user, **instants)
    await make_token(session, await make_user(session))
    await make_token(session, user)
    await move_login_back(session, user, last_used_at="1 hour", created_at="1 hour")
    token = await make_token(session, user)
    user_client.headers["Authorization"] = f"Bearer {token}"
    response = await user_client.get(f"{AUTH}/sessions")
    assert response.status_code == 200, response.text
    first, second = response.json()
    assert (first["current"], second["current"]) == (True, False)
    assert first["last_used_at"] > second["last_used_at"]
    assert (first["address"], first["user_agent"]) == ("192.0.2.1", "tests")
    assert first.keys() == {
        *("id", "created_at", "last_used_at", "expires_at", "address", "user_agent", "current")
    }


async def test_end_other_sessions_keeps_this_one(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    theirs = await make_token(session, await make_user(session))
    response = await user_client.delete(f"{AUTH}/sessions")
    assert response.status_code == 204, response.text
    assert (await user_client.get(ME)).status_code == 200
    for token, status in ((other, 401), (theirs, 200)):
        me = await user_client.get(ME, headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == status


async def test_end_session_ends_that_device(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    devices = (await user_client.get(f"{AUTH}/sessions")).json()
    ended = next(device for device in devices if not device["current"])
    response = await user_client.delete(f"{AUTH}/sessions/{ended['id']}")
    assert response.status_code == 204, response.text
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    read_problem(me, 401, "invalid_token")
    assert (await user_client.get(ME)).status_code == 200


async def test_end_session_refuses_an_unknown_one(user_client: AsyncClient) -> None:
    answer = await user_client.delete(f"{AUTH}/sessions/{uuid4()}")
    read_problem(answer, 404, "session_not_found")


@pytest.mark.parametrize(
    ("instants", "status"),
    [
        ({"last_used_at": "6 days 23 hours", "authenticated_at": "29 days"}, 200),
        ({"last_used_at": "7 days 1 second"}, 401),
        ({"expires_at": "29 days 23 hours"}, 200),
        ({"expires_at": "30 days 1 second"}, 401),
    ],
)
async def test_token_ends_when_idle_or_old(
    session: AsyncSession,
    user_client: AsyncClient,
    user: User,
    instants: dict[str, str],
    status: int,
) -> None:
    await move_login_back(session, user, **instants)
    assert (await user_client.get(ME)).status_code == status


@pytest.mark.parametrize(
    ("idle", "written"), [("4 minutes 59 seconds", False), ("6 minutes", True)]
)
async def test_token_use_is_written_every_five_minutes(
    session: AsyncSession,
    user_client: AsyncClient,
    user: User,
    idle: str,
    written: bool,  # noqa: FBT001
) -> None:
    await move_login_back(session, user, last_used_at=idle)
    before = (await session.exec(select(LoginSession.last_used_at))).one()
    assert (await user_client.get(ME)).status_code == 200
    after = (await session.exec(select(LoginSession.last_used_at))).one()
    assert (after > before) == written
