"""What no log shows."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.observability.logging import configure_logging, redact
from app.users.models import User
from tests.factories import PASSWORD, make_account, make_token, new_user
from tests.observability.conftest import Events, Model, add_route
from tests.problems import read_problem

pytestmark = pytest.mark.usefixtures("_marbles")
API = "/api/v1"
LOGIN = f"{API}/auth/login"
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


async def refuse_row(session: AsyncSession) -> None:
    # Not canonical: "Failing row contains (...)".
    session.add(new_user(f"{CANARY.upper()}@example.com", hashed_password=CANARY))
    await session.flush()


async def refuse_after_refusal(session: AsyncSession) -> None:
    with suppress(IntegrityError):
        await refuse_row(session)
    await session.exec(select(User))


async def refuse_value(session: AsyncSession) -> None:
    memory = text("SELECT set_config('work_mem', :size, true)")
    await (await session.connection()).execute(memory, {"size": CANARY})


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
