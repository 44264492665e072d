"""Requests about one account that meet."""

import asyncio

import bcrypt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession, RateLimit
from app.auth.schemas import SignUp
from app.auth.service import sign_up
from app.mail.models import Outbox
from app.users.models import User
from app.users.service import EmailTaken
from tests.conftest import new_client
from tests.factories import (
    HASHER,
    PASSWORD,
    make_account,
    make_superuser,
    make_user,
    sign_in,
)
from tests.problems import read_problem
from tests.races import count_waiting, race
from tests.statements import record_statements

API = "/api/v1"


async def test_asvs_6_3_8_password_reset_does_the_same_for_every_address(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await make_user(live_session, email="known@example.com")
    await make_user(live_session, email="inactive@example.com", is_active=False)
    answers = []
    for name in ("known", "inactive", "unknown"):
        with record_statements() as statements:
            body = {"email": f"{name}@example.com"}
            answer = await live_client.post(f"{API}/auth/password-reset", json=body)
        headers = {**answer.headers} | {"x-request-id": ""}
        sent = [each.sql for each in statements]
        answers.append((answer.status_code, answer.content, headers, sent))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][3]


async def test_parallel_sign_ups_of_one_address_make_one_account(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    data = SignUp(**make_account())

    async def sign_up_as_ada(session: AsyncSession) -> None:
        await sign_up(session, HASHER, data)

    database = live_app.state.database  # below the limit, which lets three through
    made = await asyncio.gather(
        *(database.transact(sign_up_as_ada) for _ in range(50)), return_exceptions=True
    )
    assert [type(answer) for answer in made if answer] == [EmailTaken] * 49
    assert (await live_session.exec(select(func.count()).select_from(User))).one() == 1


@pytest.mark.parametrize("removes_itself", [True, False])
@pytest.mark.parametrize("change", [{"is_superuser": False}, {"is_active": False}, None])
async def test_parallel_removals_leave_a_superuser(
    live_app: FastAPI,
    live_session: AsyncSession,
    change: dict[str, bool] | None,
    *,
    removes_itself: bool,
) -> None:
    superusers = [await make_superuser(live_session) for _ in range(2)]
    removed = superusers if removes_itself else superusers[::-1]
    async with new_client(live_app) as first, new_client(live_app) as second:
        for client, user in zip((first, second), superusers, strict=True):
            await sign_in(client, live_session, user)
        method = "PATCH" if change else "DELETE"
        answers = await race(
            *(live_app, live_session),
            first.request(method, f"{API}/users/{removed[0].id}", json=change),
            second.request(method, f"{API}/users/{removed[1].id}", json=change),
        )
    assert [answer.is_success for answer in answers] == [True, False]
    read_problem(answers[1], 409, "last_superuser")
    active = select(func.count()).where(col(User.is_superuser), col(User.is_active))
    assert (await live_session.exec(active)).one() == 1


async def test_parallel_logins_keep_twenty_sessions(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    form = {"username": user.email, "password": PASSWORD}

    async def log_in_five_times(network: int) -> list[int]:  # what the limits let through
        async with new_client(live_app, f"192.0.2.{network}") as client:
            logins = (client.post(f"{API}/auth/login", data=form) for _ in range(5))
            return [answer.status_code for answer in await asyncio.gather(*logins)]

    assert await asyncio.gather(*map(log_in_five_times, range(4))) == [[200] * 5] * 4
    assert await asyncio.gather(*map(log_in_five_times, range(4, 6))) == [[200] * 5] * 2
    assert (await live_session.exec(select(func.count()).select_from(LoginSession))).one() == 20


async def test_parallel_first_logins_of_an_imported_user_succeed(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
    user = await make_user(live_session, hashed_password=imported)
    form = {"username": user.email, "password": PASSWORD}
    async with new_client(live_app) as client:
        logins = (client.post(f"{API}/auth/login", data=form) for _ in range(3))
        answers = await asyncio.gather(*logins)
    assert [answer.status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize("login_comes_first", [True, False])
async def test_no_login_with_the_old_password_survives_its_change(
    live_app: FastAPI,
    live_client: AsyncClient,
    live_session: AsyncSession,
    *,
    login_comes_first: bool,
) -> None:
    user = await make_user(live_session)
    await sign_in(live_client, live_session, user)
    passwords = {"current_password": PASSWORD, "new_password": f"new {PASSWORD}"}
    form = {"username": user.email, "password": PASSWORD}
    requests = [
        live_client.put(f"{API}/users/me/password", json=passwords),
        live_client.post(f"{API}/auth/login", data=form),
    ]
    answers = await race(live_app, live_session, *requests[:: -1 if login_comes_first else 1])
    statuses = [answer.status_code for answer in answers]
    assert statuses == ([200, 204] if login_comes_first else [204, 401])
    assert (await live_session.exec(select(func.count()).select_from(LoginSession))).one() == 1
    assert (await live_client.get(f"{API}/users/me")).status_code == 200


@pytest.mark.parametrize("login_comes_first", [True, False])
async def test_no_login_survives_a_deactivation(
    live_app: FastAPI,
    live_client: AsyncClient,
    live_session: AsyncSession,
    *,
    login_comes_first: bool,
) -> None:
    user = await make_user(live_session)
    await sign_in(live_client, live_session, await make_superuser(live_session))
    form = {"username": user.email, "password": PASSWORD}
    requests = [
        live_client.patch(f"{API}/users/{user.id}", json={"is_active": False}),
        live_client.post(f"{API}/auth/login", data=form),
    ]
    await race(live_app, live_session, *requests[:: -1 if login_comes_first else 1])
    theirs = select(LoginSession).where(LoginSession.user_id == user.id)
    assert list(await live_session.exec(theirs)) == []


async def test_parallel_requests_of_a_user_who_leaves_end_cleanly(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    await sign_in(live_client, live_session, user)
    deleted, *others = await race(
        *(live_app, live_session),
        live_client.delete(f"{API}/users/me"),
        live_client.patch(f"{API}/users/me", json={"full_name": "Gone"}),
        live_client.delete(f"{API}/users/me"),
    )
    assert deleted.status_code == 204
    for answer in others:
        read_problem(answer, 401, "invalid_token")


async def test_parallel_log_outs_end_cleanly(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    answers = await asyncio.gather(*(live_client.post(f"{API}/auth/logout") for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {204, 401}


async def test_parallel_password_changes_let_one_through(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    bodies = [{"current_password": PASSWORD, "new_password": f"{PASSWORD} {n}"} for n in (1, 2)]
    changed, refused = await race(
        *(live_app, live_session),
        *(live_client.put(f"{API}/users/me/password", json=body) for body in bodies),
    )
    assert changed.status_code == 204
    read_problem(refused, 400, "incorrect_password")


async def test_password_change_needs_a_session_that_lasts_until_it_is_made(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    await live_session.exec(select(User.id).with_for_update())
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} 2"}
    changing = asyncio.create_task(live_client.put(f"{API}/users/me/password", json=body))
    while not changing.done() and not await count_waiting(live_app):
        pass
    await live_session.exec(delete(LoginSession))
    await live_session.commit()
    read_problem(await changing, 401, "invalid_token")


async def test_address_change_needs_a_session_that_lasts_until_it_is_asked_for(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    body = {"new_email": "thief@example.com"}
    path = f"{API}/users/me/email"
    assert (await live_client.post(path, json=body)).status_code == 202
    await live_session.exec(select(RateLimit.key_hash).with_for_update())
    asking = asyncio.create_task(live_client.post(path, json=body))
    while not asking.done() and not await count_waiting(live_app):
        pass
    await live_session.exec(delete(LoginSession))
    await live_session.exec(delete(Outbox))
    await live_session.commit()
    read_problem(await asking, 401, "invalid_token")
    assert list(await live_session.exec(select(Outbox.id))) == []
