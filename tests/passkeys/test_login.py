"""Signing in with a passkey: in place of a password, or after it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA384
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Interval, cast, func
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.passkeys.models import Passkey
from app.second_factors.reset import reset_at_once
from app.users.models import User
from tests.conftest import new_client
from tests.factories import make_user
from tests.passkeys.authenticator import PRESENT, Authenticator
from tests.passkeys.factories import LOGIN, SECOND_STEP, add_passkey, ask, log_in
from tests.passkeys.test_passkeys import garble
from tests.problems import read_problem
from tests.second_factors.factories import give_password, make_challenge

ME = "/api/v1/users/me"


async def count_sessions(session: AsyncSession) -> int:
    return (await session.exec(select(func.count()).select_from(LoginSession))).one()


async def test_passkey_signs_in_without_a_password(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, passkey = await add_passkey(session, user)
    options = await ask(client, LOGIN)
    assert (options["rpId"], options["userVerification"]) == ("localhost", "required")
    assert options["allowCredentials"] == []
    answer = await client.post(LOGIN, json={"credential": holder.get(options)})
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    assert (await client.get(ME)).json()["id"] == str(user.id)
    assert list(await session.exec(select(LoginSession.is_strong))) == [True]
    await session.refresh(passkey)
    assert passkey.last_used_at is not None


async def test_asvs_6_3_3_passkey_is_the_second_factor(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    holder.flags = PRESENT  # the password has shown who it is
    problem = read_problem(await give_password(client, user), 403, "second_factor_required")
    assert problem["methods"] == ["passkey"]
    body: dict[str, Any] = {"challenge": problem["challenge"]}
    options = await ask(client, SECOND_STEP, **body)
    assert len(options["allowCredentials"]) == 1
    body["credential"] = holder.get(options)
    assert (await client.post(SECOND_STEP, json=body)).status_code == 200
    read_problem(await client.post(SECOND_STEP, json=body), 401, "invalid_challenge")
    read_problem(
        await client.post(LOGIN, json=body | {"challenge": "x"}), 422, "unprocessable_content"
    )


WRONG: dict[str, dict[str, Any]] = {
    "origin": {"origin": "https://evil.example"},
    "relying party": {"rp_id": "evil.example"},
    "key": {"key": Authenticator().key},
    "algorithm": {"digest": SHA384()},
    "unknown passkey": {"credential_id": b"x"},
    "user": {"user_handle": bytes(16)},
    "no user": {"user_handle": b""},
    "no user presence": {"flags": 0},
    "no user verification": {"flags": PRESENT},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_wrong_signature_is_refused(
    client: AsyncClient, session: AsyncSession, user: User, wrong: dict[str, Any]
) -> None:
    holder, _ = await add_passkey(session, user)
    right = vars(holder).copy()
    vars(holder).update(wrong)
    read_problem(await log_in(client, holder), 401, "passkey_refused")
    assert await count_sessions(session) == 0
    vars(holder).update(right)
    assert (await log_in(client, holder)).status_code == 200


async def test_asvs_6_7_2_challenge_counts_once_and_for_one_thing(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    body = {"credential": holder.get(await ask(client, LOGIN))}
    assert (await client.post(LOGIN, json=body)).status_code == 200
    read_problem(await client.post(LOGIN, json=body), 401, "passkey_refused")
    challenge = await make_challenge(session, user)
    of_second_step = holder.get(await ask(client, SECOND_STEP, challenge=challenge))
    answer = await client.post(LOGIN, json={"credential": of_second_step})
    read_problem(answer, 401, "passkey_refused")
    of_login = holder.get(await ask(client, LOGIN))
    answer = await client.post(SECOND_STEP, json={"challenge": challenge, "credential": of_login})
    read_problem(answer, 401, "passkey_refused")


async def test_copy_of_an_authenticator_is_refused(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, passkey = await add_passkey(session, user)
    holder.sign_count = 7
    assert (await log_in(client, holder)).status_code == 200
    for count in (0, 7, 3):
        holder.sign_count = count
        holder.sign_count -= bool(count)  # it counts on as it signs
        read_problem(await log_in(client, holder), 401, "passkey_refused")
    await session.refresh(passkey)
    assert passkey.sign_count == 8
    holder.sign_count = 8
    assert (await log_in(client, holder)).status_code == 200


async def test_passkey_of_another_user_is_no_second_factor(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_passkey(session, user)
    anothers, _ = await add_passkey(session, await make_user(session))
    challenge = await make_challenge(session, user)
    options = await ask(client, SECOND_STEP, challenge=challenge)
    body = {"challenge": challenge, "credential": anothers.get(options)}
    read_problem(await client.post(SECOND_STEP, json=body), 401, "passkey_refused")
    assert await count_sessions(session) == 0


async def test_second_step_is_limited_and_bound_to_its_network(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    challenge = await make_challenge(session, user)
    options = await ask(client, SECOND_STEP, challenge=challenge)
    body = {"challenge": challenge, "credential": holder.get(options)}
    elsewhere = new_client(app, "192.0.2.1")
    read_problem(await elsewhere.post(SECOND_STEP, json=body), 401, "invalid_challenge")
    answer = await elsewhere.post(f"{SECOND_STEP}/options", json={"challenge": challenge})
    read_problem(answer, 401, "invalid_challenge")
    wrong = body | {"credential": {}}
    statuses = [(await client.post(SECOND_STEP, json=wrong)).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_account_that_is_not_active_is_refused(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    await session.exec(update(User).values(is_active=False))
    await session.commit()
    read_problem(await log_in(client, holder), 401, "passkey_refused")


async def test_passkey_takes_a_deletion_back(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    tomorrow = func.now() + cast("1 day", Interval)
    await session.exec(update(User).values(is_active=False, deletion_due_at=tomorrow))
    await session.commit()
    assert (await log_in(client, holder)).status_code == 200
    await session.refresh(user)
    assert user.is_active


async def test_garbage_signs_nobody_in(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, _ = await add_passkey(session, user)
    for number, credential in enumerate(garble(holder.get(await ask(client, LOGIN)))):
        stranger = new_client(app, f"192.0.2.{number}")
        answer = await stranger.post(LOGIN, json={"credential": credential})
        read_problem(answer, 401, "passkey_refused")
    assert await count_sessions(session) == 0


async def test_reset_removes_passkeys(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_passkey(session, user)
    await reset_at_once(session, app.state.gate, user.email)
    await session.commit()
    assert list(await session.exec(select(Passkey.id))) == []
    assert (await give_password(client, user)).status_code == 200
