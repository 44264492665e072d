"""What is logged of each request, and what is never logged."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.observability.logging import configure_logging, redact
from app.users.models import User
from app.web.router import Router
from app.web.session import SessionDep
from tests.factories import PASSWORD, make_account, make_invitation, make_token, make_user, new_user
from tests.marbles import make_marble
from tests.problems import read_problem

API = "/api/v1"
LOGIN = f"{API}/auth/login"
pytestmark = pytest.mark.usefixtures("_marbles")
Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def events(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> Events:
    """Read what the service has logged since the last time, as production writes it."""
    assert app is not None  # which has set up logging for development
    configure_logging(as_json=True, level="debug")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the tests' own client

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


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


def add_route(app: FastAPI, work: Callable[[AsyncSession], Any]) -> None:
    """Add `POST /work` to the application, a route of the usual kind."""
    router = Router(tags=["test"])

    @router.post("/work", response_model=Model | None)
    async def endpoint(session: SessionDep) -> Any:
        return await work(session)

    app.include_router(router)


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


CANARY = "canary-4711-password"
TOKENS = {
    "access token": f"ust_{'c' * 43}",
    "mail token": f"uml_{'c' * 43}",
    "hash": f"$argon2id$v=19$m=8,t=1,p=1${'c' * 22}$cccc/c",
    "bcrypt": f"$2b$12${'c' * 53}",
    "link": f"https://app.example.com/set-password#token=uml_{'c' * 43}",
    "header": "Bearer cccccc.ccccc",
    "basic": "Basic Y2NjOmNjYw==",
    "database": "postgresql://app:cccccc@db/app",
}


class Model(BaseModel):
    number: int


async def refuse_row(session: AsyncSession) -> None:
    # Not canonical: "Failing row contains (...)".
    session.add(new_user(f"{CANARY.upper()}@example.com", hashed_password=CANARY))
    await session.flush()


async def refuse_after_refusal(session: AsyncSession) -> None:
    with suppress(IntegrityError):
        await refuse_row(session)
    await session.exec(select(User))


async def refuse_value(session: AsyncSession) -> None:
    await (await session.connection()).execute(text("SELECT CAST(:x AS uuid)"), {"x": CANARY})


async def refuse_input(_: AsyncSession) -> None:
    Model.model_validate({"number": CANARY})


async def return_something_else(_: AsyncSession) -> dict[str, str]:
    return {"number": CANARY}


async def fail_with_locals(_: AsyncSession) -> None:
    def fail(password: str) -> NoReturn:
        raise RuntimeError(str(len(password)))

    fail(CANARY)


FAULTS = [
    *(refuse_row, refuse_after_refusal, refuse_value, refuse_input),
    *(return_something_else, fail_with_locals),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("as_json", [True, False])
async def test_asvs_16_2_5_fault_shows_no_value(
    app: FastAPI,
    client: AsyncClient,
    capsys: pytest.CaptureFixture[str],
    fault: Callable[[AsyncSession], Any],
    *,
    as_json: bool,
) -> None:
    configure_logging(as_json=as_json, level="debug")
    add_route(app, fault)
    answer = await client.post("/work")
    logged = capsys.readouterr().err
    read_problem(answer, 500, "internal_server_error")
    assert "unexpected_error" in logged
    assert fault.__name__ in logged or fault is return_something_else
    assert CANARY not in (answer.text + logged).lower()


async def test_asvs_16_2_5_conflict_names_its_constraint_and_no_value(
    app: FastAPI, client: AsyncClient, events: Events
) -> None:
    async def refuse_duplicate(session: AsyncSession) -> None:
        for _ in range(2):
            session.add(new_user(f"{CANARY}@example.com", hashed_password=CANARY))
        await session.flush()

    add_route(app, refuse_duplicate)
    answer = await client.post("/work")
    read_problem(answer, 409, "conflict")
    (event,) = events()
    assert event["constraint"] == "ix_user_email"
    assert CANARY not in (answer.text + str(event)).lower()


@pytest.mark.parametrize("secret", TOKENS.values(), ids=TOKENS.keys())
async def test_asvs_16_2_5_secret_in_a_message_is_redacted(
    app: FastAPI, client: AsyncClient, events: Events, secret: str
) -> None:
    async def fail(_: AsyncSession) -> None:
        raise RuntimeError(f"it was '{secret}'")

    add_route(app, fail)
    answer = await client.post("/work")
    logging.getLogger("library").error("It was %s", secret)
    logged = json.dumps(events())
    assert logged.count("[secret]") == 2
    assert "ccccc" not in answer.text + logged  # three of them may be in a request id


async def test_redact_leaves_other_text_alone() -> None:
    plain = "GET https://db.example.com/app?x=a@b must_be ust_ $2 Bearer"
    assert redact(plain) == plain


async def test_asvs_16_2_5_no_flow_logs_a_secret(
    client: AsyncClient, user_client: AsyncClient, user: User, session: AsyncSession, events: Events
) -> None:
    token = await make_token(session, user)
    secrets = {PASSWORD, CANARY, token, user.hashed_password, user.email}
    account = make_account(f"{CANARY}@example.com", password=CANARY, full_name=CANARY)
    answers = [
        await client.post(f"{API}/auth/signup", json=account),
        await client.post(f"{API}/auth/signup", json=account),
        await client.post(f"{API}/auth/signup", json=account | {"email": CANARY, CANARY: CANARY}),
        await client.post(f"{API}/auth/signup", content=CANARY),
        await client.post(LOGIN, data={"username": user.email, "password": CANARY}),
        await client.post(LOGIN, data={"username": CANARY, "password": "x" * 2000 + CANARY}),
        await client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {CANARY}"}),
        await client.get(f"{API}/users/me?access_token={token}&x={CANARY}"),
        await client.get(f"/{token}/{CANARY}"),
        await client.request(CANARY, f"/{CANARY}"),
        await user_client.delete(f"{API}/auth/sessions/{token}"),
        await user_client.get(f"{API}/marbles?search={CANARY}&cursor={token}"),
        await user_client.put(
            f"{API}/users/me/password",
            json={"current_password": CANARY, "new_password": f"new {CANARY}"},
        ),
        await user_client.put(
            f"{API}/users/me/password",
            json={"current_password": PASSWORD, "new_password": f"new {CANARY}"},
        ),
    ]
    logged = json.dumps(events())
    assert logged.count('"event": "request"') == len(answers)
    assert not [secret for secret in secrets if secret in logged]
    refused = "".join(answer.text for answer in answers if answer.status_code >= 400)
    assert not [secret for secret in secrets if secret in refused]
