"""Deletion that can be taken back for some days, where the service is set so."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.purge import purge_expired
from app.database.transactions import Database
from app.mail.models import Outbox
from app.users.models import User
from tests.factories import PASSWORD, earlier, make_user, reload_user, sign_in
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

ME = "/api/v1/users/me"
LOGIN = "/api/v1/auth/login"


@pytest.fixture
async def leaver(app: FastAPI, client: AsyncClient, session: AsyncSession, user: User) -> User:
    """A user who has deleted the account, and has 30 days to think it over."""
    app.state.deletion_grace = timedelta(days=30)
    await make_marble(session, user)
    await sign_in(client, session, user)
    assert (await client.delete(ME)).status_code == 204
    return await reload_user(session, user)


async def let_days_pass(session: AsyncSession, days: int) -> None:
    due_at = earlier(User.deletion_due_at, f"{days} days")
    await session.exec(update(User).values(deletion_due_at=due_at))
    await session.commit()


async def give_password(client: AsyncClient, user: User) -> Response:
    return await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})


async def test_account_is_deactivated_and_its_owner_told(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, leaver: User
) -> None:
    read_problem(await client.get(ME), 401, "invalid_token")
    shown = (await superuser_client.get(f"/api/v1/users/{leaver.id}")).json()
    assert not shown["is_active"]
    assert leaver.deletion_due_at is not None
    assert leaver.deletion_due_at - leaver.updated_at == timedelta(days=30)
    told = await session.exec(select(Outbox.payload).where(Outbox.kind == "account_deletion"))
    assert list(told) == [{"user_id": str(leaver.id), "email": leaver.email, "days": 30}]


async def test_signing_in_takes_it_back(
    client: AsyncClient, session: AsyncSession, leaver: User
) -> None:
    wrong = {"username": leaver.email, "password": "wrong"}
    read_problem(await client.post(LOGIN, data=wrong), 401, "invalid_credentials")
    assert not (await reload_user(session, leaver)).is_active
    answer = await give_password(client, leaver)
    assert answer.status_code == 200
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    me = (await client.get(ME)).json()
    assert (me["is_active"], me["deletion_due_at"]) == (True, None)
    assert len(list(await session.exec(select(Marble.id)))) == 1


@pytest.mark.parametrize("is_active", [True, False])
async def test_administrator_has_the_last_word(
    client: AsyncClient, superuser_client: AsyncClient, leaver: User, *, is_active: bool
) -> None:
    change = {"is_active": is_active}
    answer = await superuser_client.patch(f"/api/v1/users/{leaver.id}", json=change)
    assert (answer.json()["is_active"], answer.json()["deletion_due_at"]) == (is_active, None)
    expected = 200 if is_active else 401
    assert (await give_password(client, leaver)).status_code == expected


async def test_account_is_deleted_when_its_days_are_over(
    client: AsyncClient, session: AsyncSession, database: Database, leaver: User
) -> None:
    other = await make_user(session)
    await let_days_pass(session, 29)
    await purge_expired(database)
    assert len(list(await session.exec(select(Marble.id)))) == 1
    await let_days_pass(session, 2)
    read_problem(await give_password(client, leaver), 401, "invalid_credentials")
    await purge_expired(database)
    assert list(await session.exec(select(User.id))) == [other.id]
    assert list(await session.exec(select(Marble.id))) == []


async def test_last_superuser_stays(
    app: FastAPI, superuser_client: AsyncClient, session: AsyncSession, superuser: User
) -> None:
    app.state.deletion_grace = timedelta(days=30)
    read_problem(await superuser_client.delete(ME), 409, "last_superuser")
    assert (await reload_user(session, superuser)).is_active
