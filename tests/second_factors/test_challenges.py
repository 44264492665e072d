"""Half a login: whose it is, and what ends it."""

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.models import Outbox
from app.second_factors.models import LoginChallenge, RecoveryCode
from app.users.models import User
from tests.conftest import new_client
from tests.factories import earlier, let_time_pass, make_user, sign_in
from tests.problems import read_problem
from tests.second_factors.factories import (
    FACTORS,
    add_recovery_codes,
    add_totp,
    give_code,
    give_password,
    make_challenge,
    make_code,
)
from tests.second_factors.test_login import count


async def test_challenge_is_for_one_login_account_and_network(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    codes = await add_recovery_codes(session, user)
    await add_totp(session, user)
    other = await make_user(session)
    await add_totp(session, other)
    challenge = await make_challenge(session, user)
    elsewhere = new_client(app, "192.0.2.1")
    read_problem(await give_code(elsewhere, challenge, codes[0]), 401, "invalid_challenge")
    anothers = await make_challenge(session, other)
    read_problem(await give_code(client, anothers, codes[0]), 401, "invalid_code")
    assert (await give_code(client, challenge, codes[0])).status_code == 200
    for worthless in (challenge, "", "x", f"ulc_{'a' * 43}"):
        read_problem(await give_code(client, worthless, codes[1]), 401, "invalid_challenge")
    assert await count(session, RecoveryCode) == 9


async def test_challenge_ends_after_five_minutes(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    expires_at = earlier(LoginChallenge.expires_at, "5 minutes")
    await session.exec(update(LoginChallenge).values(expires_at=expires_at))
    await session.commit()
    answer = await give_code(client, challenge, make_code(secret))
    read_problem(answer, 401, "invalid_challenge")


@pytest.mark.parametrize("change", [{"hashed_password": "!other"}, {"is_active": False}])
async def test_half_login_ends_when_the_account_changes(
    client: AsyncClient, session: AsyncSession, user: User, change: Mapping[str, Any]
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    await session.exec(update(User).values(change))
    await session.commit()
    answer = await give_code(client, challenge, make_code(secret))
    read_problem(answer, 401, "invalid_challenge")


async def test_half_login_ends_when_the_factor_is_removed(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    assert (await user_client.delete(f"{FACTORS}/totp")).status_code == 204
    answer = await give_code(client, challenge, make_code(secret))
    read_problem(answer, 401, "invalid_challenge")
    assert (await give_password(client, user)).status_code == 200


async def test_codes_are_limited(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    statuses = []
    for network in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"):
        attacker = new_client(app, network)
        challenge = await make_challenge(session, user, network)
        statuses += [(await give_code(attacker, challenge, "000000")).status_code for _ in range(6)]
    assert statuses == [*([401] * 5 + [429]) * 4, *[429] * 6]
    # But not where the account is signed in.
    await session.exec(delete(LoginChallenge))
    await sign_in(client, session, user)
    await session.exec(update(LoginSession).values(address="127.0.0.1"))
    challenge = await make_challenge(session, user)
    assert (await give_code(client, challenge, make_code(secret))).status_code == 200


async def test_second_step_that_succeeds_uses_nothing_up(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    for _ in range(4):
        for code in (await add_recovery_codes(session, user))[:5]:
            problem = read_problem(await give_password(client, user), 403, "second_factor_required")
            assert (await give_code(client, problem["challenge"], code)).status_code == 200


async def test_challenges_are_limited(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    statuses = [(await give_password(client, user)).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]
    assert await count(session, LoginChallenge) == 10


async def find_notices(session: AsyncSession, kind: str) -> list[Mapping[str, Any]]:
    return list(await session.exec(select(Outbox.payload).where(Outbox.kind == kind)))


async def test_third_wrong_code_is_told(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user)
    challenge = await make_challenge(session, user)
    client.headers["User-Agent"] = "tests"
    told = {"user_id": str(user.id), "address": "127.0.0.1", "user_agent": "tests"}
    for number in range(1, 6):
        read_problem(await give_code(client, challenge, "000000"), 401, "invalid_code")
        assert await find_notices(session, "second_factor_failed") == [told] * (number >= 3)
    await let_time_pass(session, "10 minutes")
    assert (await give_code(client, challenge, make_code(secret))).status_code == 200
    challenge = await make_challenge(session, user)
    for _ in range(2):
        read_problem(await give_code(client, challenge, "000000"), 401, "invalid_code")
    assert await find_notices(session, "second_factor_failed") == [told]


async def test_new_place_is_told_when_the_login_is_complete(
    app: FastAPI, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    codes = await add_recovery_codes(session, user)
    home, away = new_client(app, "192.0.2.1"), new_client(app, "192.0.2.2")
    challenge = await make_challenge(session, user, "192.0.2.1")
    assert (await give_code(home, challenge, codes[0])).status_code == 200
    problem = read_problem(await give_password(away, user), 403, "second_factor_required")
    assert await find_notices(session, "new_login") == []
    assert (await give_code(away, problem["challenge"], codes[1])).status_code == 200
    assert len(await find_notices(session, "new_login")) == 1
