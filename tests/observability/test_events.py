"""What is logged of each request, and what is never logged."""

import logging
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.users.models import User
from tests.factories import PASSWORD, make_invitation, make_user
from tests.marbles import make_marble
from tests.observability.conftest import Events, add_route
from tests.problems import read_problem

API = "/api/v1"
LOGIN = f"{API}/auth/login"


pytestmark = pytest.mark.usefixtures("_marbles")


async def test_asvs_16_2_1_event_tells_who_did_what_when_and_from_where(
    user_client: AsyncClient, session: AsyncSession, user: User, events: Events
) -> None:
    marble = await make_marble(session, user)
    login_session = (await session.exec(select(LoginSession.id))).one()
    events()
    path, headers = f"{API}/marbles/{marble.id}?x=canary", {"X-Request-ID": "mine"}
    await user_client.patch(path, json={"title": "New"}, headers=headers)
    (event,) = events()
    assert event.pop("timestamp").endswith("Z")
    assert event.pop("duration_ms") > 0
    assert event == {
        "event": "request",
        "level": "info",
        "logger": "app.requests",
        "operation": "marbles-update_marble",
        "method": "PATCH",
        "status": 200,
        "client": "127.0.0.1",
        "user_id": str(user.id),
        "session_id": str(login_session),
        "request_id": "mine",
        "target": {"marble_id": str(marble.id)},
    }


async def test_asvs_16_3_1_login_is_an_event(
    client: AsyncClient, session: AsyncSession, events: Events
) -> None:
    user = await make_user(session)
    events()
    right = {"username": user.email, "password": PASSWORD}
    await client.post(LOGIN, data=right)
    await client.post(LOGIN, data=right | {"password": "wrong"})
    await client.post(LOGIN, data=right | {"username": "nobody@example.com"})
    success, wrong, unknown = events()
    session_id = (await session.exec(select(LoginSession.id))).one()
    assert (success["operation"], success["status"]) == ("auth-log_in", 200)
    assert (success["user_id"], success["session_id"]) == (str(user.id), str(session_id))
    for failure, user_id in ((wrong, str(user.id)), (unknown, None)):
        assert (failure["level"], failure["status"]) == ("warning", 401)
        assert (failure["code"], failure["user_id"]) == ("invalid_credentials", user_id)
        assert "session_id" not in failure


async def test_asvs_16_3_2_refusal_is_an_event(
    client: AsyncClient, user_client: AsyncClient, user: User, events: Events
) -> None:
    events()
    await client.get(f"{API}/users/me")
    await user_client.delete(f"{API}/users/{user.id}")
    anonymous, forbidden = events()
    assert (anonymous["level"], anonymous["code"]) == ("warning", "not_authenticated")
    assert "user_id" not in anonymous
    assert (forbidden["level"], forbidden["code"]) == ("warning", "permission_required")
    assert forbidden["user_id"] == str(user.id)
    assert forbidden["operation"] == "users-delete_user"


async def test_asvs_16_3_3_administrative_change_names_its_target(
    superuser_client: AsyncClient, superuser: User, events: Events
) -> None:
    events()
    answer = await superuser_client.post(f"{API}/users", json=make_invitation("new@example.com"))
    path = f"{API}/users/{answer.json()['id']}"
    await superuser_client.patch(path, json={"is_active": False})
    await superuser_client.delete(f"{path}/sessions")
    await superuser_client.delete(path)
    created, *changes = events()
    assert created["created_user_id"] == answer.json()["id"]
    assert [change["operation"] for change in changes] == [
        "users-update_user",
        "users-end_user_sessions",
        "users-delete_user",
    ]
    for change in changes:
        assert change["target"] == {"user_id": answer.json()["id"]}
        assert change["user_id"] == str(superuser.id)


async def test_probe_is_an_event_of_debugging_unless_it_fails(
    client: AsyncClient, session: AsyncSession, events: Events
) -> None:
    await client.get("/readyz")
    await (await session.connection()).execute(text("DELETE FROM alembic_version"))
    await client.get("/readyz")
    levels = [(event["level"], event["status"]) for event in events()]
    assert levels == [("debug", 200), ("warning", 503)]


@pytest.mark.parametrize("text", ["a\r\nInjected: b", "\u2028", "\x1b[2J"])
async def test_asvs_16_4_1_event_is_one_line(
    client: AsyncClient, events: Events, text: str
) -> None:
    path = quote(text)
    await client.get(f"/nowhere/{path}", headers=[(b"User-Agent", text.encode())])
    await client.get(f"{API}/marbles/{path}", headers=[(b"X-Request-ID", text.encode())])
    assert [event["event"] for event in events()] == ["request", "request"]


async def test_asvs_16_4_1_event_of_a_library_is_one_line(events: Events) -> None:
    logging.getLogger("library").warning("one\r\n%s", "two")
    (event,) = events()
    assert (event["event"], event["logger"]) == ("one\r\ntwo", "library")


async def test_facts_of_one_request_do_not_reach_the_next(
    client: AsyncClient, user_client: AsyncClient, events: Events
) -> None:
    await user_client.get(f"{API}/users/me")
    await client.get("/nowhere")
    assert [("user_id" in event) for event in events()] == [True, False]


async def test_transaction_that_is_repeated_is_one_event(
    app: FastAPI, client: AsyncClient, events: Events
) -> None:
    attempts = []

    async def fail(session: AsyncSession) -> None:
        attempts.append(session)
        raise_failure = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
        await (await session.connection()).execute(text(raise_failure))

    add_route(app, fail)
    await client.post("/work")
    assert len(attempts) == 5
    (event,) = events()
    assert (event["status"], event["code"]) == (503, "unavailable")
    assert (event["reason"], event["cause"]) == ("conflict", "40001")


async def test_asvs_16_5_4_fault_is_logged_once_with_its_traceback(
    app: FastAPI, client: AsyncClient, events: Events
) -> None:
    async def fail(_: AsyncSession) -> None:
        try:
            int("inner")
        except ValueError as error:
            raise LookupError("outer") from error

    add_route(app, fail)
    answer = await client.post("/work", headers={"X-Request-ID": "mine"})
    read_problem(answer, 500, "internal_server_error")
    assert "outer" not in answer.text
    fault, event = events()
    assert (fault["event"], fault["level"]) == ("unexpected_error", "error")
    assert fault["request_id"] == event["request_id"] == "mine"
    assert "builtins.ValueError: invalid literal" in fault["exception"]
    assert fault["exception"].endswith("builtins.LookupError: outer")
    assert 'raise LookupError("outer") from error' in fault["exception"]
    assert (event["level"], event["status"]) == ("error", 500)
