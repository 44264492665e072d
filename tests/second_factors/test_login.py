"""Logins in two steps: what the second one takes, what it refuses, and what the owner is told."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Interval, cast, func, insert
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.service import PASSWORD_RESET
from app.second_factors.keys import Keys
from app.second_factors.models import RecoveryCode, Totp
from app.users.models import User
from tests.conftest import new_client
from tests.factories import PASSWORD, make_mail_token, make_user
from tests.problems import read_problem
from tests.second_factors.factories import (
    KEYS,
    add_recovery_codes,
    add_totp,
    give_code,
    give_password,
    make_challenge,
    make_code,
)

ME = "/api/v1/users/me"


async def count(session: AsyncSession, model: type[Any]) -> int:
    return (await session.exec(select(func.count()).select_from(model))).one()


async def test_asvs_6_3_3_login_needs_a_second_factor(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    problem = read_problem(await give_password(client, user), 403, "second_factor_required")
    assert problem["methods"] == ["totp"]
    assert await count(session, LoginSession) == 0
    answer = await give_code(client, problem["challenge"], make_code(secret))
    assert answer.status_code == 200
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    assert (await client.get(ME)).json()["id"] == str(user.id)


async def test_recovery_code_stands_in(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    codes = await add_recovery_codes(session, user)
    for code in (codes[0].upper(), codes[1].replace("-", " ")):
        problem = read_problem(await give_password(client, user), 403, "second_factor_required")
        assert problem["methods"] == ["totp", "recovery_code"]
        assert (await give_code(client, problem["challenge"], code)).status_code == 200
    challenge = await make_challenge(session, user)
    read_problem(await give_code(client, challenge, codes[0]), 401, "invalid_code")
    assert await count(session, RecoveryCode) == 8


async def test_recovery_codes_alone_are_no_second_factor(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_recovery_codes(session, user)
    await add_totp(session, user, is_confirmed=False)
    assert (await give_password(client, user)).status_code == 200


@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_code_may_be_one_step_off(
    client: AsyncClient, session: AsyncSession, user: User, steps: int
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    # An interval may end meanwhile, by which a code of the one before would be two off.
    answers = [await give_code(client, challenge, make_code(secret, steps=steps)) for _ in range(2)]
    assert [answer.status_code for answer in answers].count(200) == 1


@pytest.mark.parametrize(
    "code", ["early", "late", "0123456", "٠١٢٣٤٥", "", " ", "12345", "a" * 64, "\0" * 6]
)
async def test_other_code_is_refused(
    client: AsyncClient, session: AsyncSession, user: User, code: str
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    early, late = make_code(secret, steps=3), make_code(secret, steps=-3)
    code = {"early": early, "late": late}.get(code, code)
    answer = await give_code(client, challenge, code)
    read_problem(answer, 401, "invalid_code")
    assert await count(session, LoginSession) == 0
    assert (await give_code(client, challenge, make_code(secret))).status_code == 200


async def test_unicode_digits_of_the_right_code_are_refused(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    digits = make_code(secret).translate({48 + digit: 0x0660 + digit for digit in range(10)})
    read_problem(await give_code(client, challenge, digits), 401, "invalid_code")


async def test_code_counts_once(client: AsyncClient, session: AsyncSession, user: User) -> None:
    secret = await add_totp(session, user)
    code = make_code(secret, steps=1)
    assert (await give_code(client, await make_challenge(session, user), code)).status_code == 200
    for replayed in (code, make_code(secret)):
        challenge = await make_challenge(session, user)
        read_problem(await give_code(client, challenge, replayed), 401, "invalid_code")


async def test_code_of_a_key_that_is_gone_is_refused(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    (code, *_) = await add_recovery_codes(session, user)
    challenge = await make_challenge(session, user)
    app.state.gate.keys = Keys("b" * 43 + "=")
    answer = await give_code(client, challenge, make_code(secret))
    read_problem(answer, 401, "invalid_code")
    assert (await give_code(client, challenge, code)).status_code == 200


async def test_secret_of_another_row_is_unreadable(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    other = await make_user(session)
    secret = await add_totp(session, other)
    copied = select(Totp.encrypted_secret).where(Totp.user_id == other.id).scalar_subquery()
    await session.exec(update(Totp).values(encrypted_secret=copied))
    await session.commit()
    challenge = await make_challenge(session, user)
    read_problem(await give_code(client, challenge, make_code(secret)), 401, "invalid_code")


async def test_login_encrypts_with_the_newest_key(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    new = Keys("b" * 43 + "=")
    app.state.gate.keys = type("Rotated", (), {"encrypt": new.encrypt, "decrypt": KEYS.decrypt})()
    challenge = await make_challenge(session, user)
    assert (await give_code(client, challenge, make_code(secret))).status_code == 200
    encrypted = (await session.exec(select(Totp.encrypted_secret))).one()
    assert new.decrypt(user.id, encrypted) == secret


async def test_one_of_50_parallel_uses_of_a_recovery_code_wins(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    await add_totp(live_session, user)
    (code, *_) = await add_recovery_codes(live_session, user)
    networks = [f"192.0.2.{number}" for number in range(50)]
    challenges = [await make_challenge(live_session, user, each) for each in networks]
    # As if the account were signed in from all of these networks: no limit is in the way.
    row = {"user_id": user.id, "expires_at": func.now() + cast("1 day", Interval)}
    rows = [
        row | {"id": uuid4(), "token_hash": each.encode(), "address": each} for each in networks
    ]
    await live_session.exec(insert(LoginSession).values(rows))
    await live_session.commit()
    clients = [new_client(live_app, network) for network in networks]
    tries = map(give_code, clients, challenges, [code] * 50)
    statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert sorted(statuses) == [200] + [401] * 49


async def test_asvs_6_4_3_new_password_does_not_pass_by_the_second_factor(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    token = await make_mail_token(session, user, PASSWORD_RESET)
    body = {"token": token, "new_password": PASSWORD}
    answer = await client.post("/api/v1/auth/password-reset/confirm", json=body)
    assert answer.status_code == 204
    read_problem(await give_password(client, user), 403, "second_factor_required")


async def test_asvs_6_5_8_time_is_the_databases(
    client: AsyncClient, session: AsyncSession, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await add_totp(session, user)
    code = make_code(secret)
    challenge = await make_challenge(session, user)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert (await give_code(client, challenge, code)).status_code == 200
