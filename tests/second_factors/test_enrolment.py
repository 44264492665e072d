"""Second factors as their owners set them up and remove them."""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pyotp import parse_uri
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.models import Outbox
from app.second_factors.models import RecoveryCode, Totp
from app.users.models import User
from tests.conftest import new_client
from tests.factories import earlier, make_token, move_login_back
from tests.problems import read_problem
from tests.second_factors.factories import (
    FACTORS,
    add_recovery_codes,
    add_totp,
    give_code,
    give_password,
    make_code,
)

TOTP = f"{FACTORS}/totp"
CONFIRM = f"{TOTP}/confirm"
RECOVERY = f"{FACTORS}/recovery-codes"


async def find_changes(session: AsyncSession) -> list[Mapping[str, Any]]:
    changed = select(Outbox.payload).where(Outbox.kind == "second_factor_changed")
    return list(await session.exec(changed))


async def test_owner_sets_up_an_app(
    app: FastAPI, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await make_token(session, user)
    nothing = {"methods": [], "recovery_codes_left": 0, "is_required": False}
    assert (await user_client.get(FACTORS)).json() == nothing
    enrolment = (await user_client.post(TOTP)).json()
    generator = parse_uri(enrolment["uri"])
    assert (generator.name, generator.issuer) == (user.email, "User service")
    assert generator.secret == enrolment["secret"]
    assert ET.fromstring(enrolment["qr_code"]).tag == "svg"  # noqa: S314  # our own
    assert (await user_client.get(FACTORS)).json() == nothing
    answer = await user_client.post(CONFIRM, json={"code": make_code(enrolment["secret"])})
    codes = answer.json()["recovery_codes"]
    assert len({*codes}) == 10
    assert all(re.fullmatch("[a-z2-7]{6}(-[a-z2-7]{6}){3}", code) for code in codes)
    there = {"methods": ["totp", "recovery_code"], "recovery_codes_left": 10, "is_required": False}
    assert (await user_client.get(FACTORS)).json() == there
    # Other devices are signed out, and this one counts as one that has given a code.
    assert list(await session.exec(select(LoginSession.is_strong))) == [True]
    (told,) = await find_changes(session)
    assert (told["factor"], told["change"]) == ("totp", "added")
    client = new_client(app)
    challenge = read_problem(await give_password(client, user), 403, "second_factor_required")
    assert (await give_code(client, challenge["challenge"], codes[9])).status_code == 200


async def test_secret_is_encrypted_and_recovery_codes_are_hashed(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    enrolment = (await user_client.post(TOTP)).json()
    answer = await user_client.post(CONFIRM, json={"code": make_code(enrolment["secret"])})
    stored = b"".join([*await session.exec(select(Totp.encrypted_secret))])
    stored += b"".join([*await session.exec(select(RecoveryCode.code_hash))])
    for secret in (enrolment["secret"], *answer.json()["recovery_codes"]):
        assert secret.replace("-", "").encode().lower() not in stored.lower()
        assert secret not in (await user_client.get(FACTORS)).text


async def test_first_code_does_not_sign_in_as_well(
    client: AsyncClient, user_client: AsyncClient, user: User
) -> None:
    secret = (await user_client.post(TOTP)).json()["secret"]
    code = make_code(secret)
    assert (await user_client.post(CONFIRM, json={"code": code})).status_code == 200
    challenge = read_problem(await give_password(client, user), 403, "second_factor_required")
    read_problem(await give_code(client, challenge["challenge"], code), 401, "invalid_code")


@pytest.mark.parametrize("code", ["", "000000", "0123456", "٠١٢٣٤٥", "early"])
async def test_app_does_not_count_without_a_right_code(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession, user: User, code: str
) -> None:
    secret = await add_totp(session, user, is_confirmed=False)
    code = make_code(secret, steps=3) if code == "early" else code
    answer = await user_client.post(CONFIRM, json={"code": code})
    read_problem(answer, 400, "incorrect_code")
    assert (await give_password(client, user)).status_code == 200
    assert list(await session.exec(select(RecoveryCode.code_hash))) == []


async def test_first_code_may_be_too_late(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user, is_confirmed=False)
    expires_at = earlier(Totp.expires_at, "15 minutes")
    await session.exec(update(Totp).values(expires_at=expires_at))
    await session.commit()
    answer = await user_client.post(CONFIRM, json={"code": make_code(secret)})
    read_problem(answer, 400, "incorrect_code")
    assert (await user_client.post(TOTP)).status_code == 201


async def test_guesses_of_the_first_code_are_limited(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    secret = await add_totp(session, user, is_confirmed=False)
    bodies = [{"code": "000000"}] * 5 + [{"code": make_code(secret)}]
    statuses = [(await user_client.post(CONFIRM, json=body)).status_code for body in bodies]
    assert statuses == [400] * 5 + [429]


async def test_second_app_needs_the_first_removed(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    before = list(await session.exec(select(Totp.encrypted_secret)))
    read_problem(await user_client.post(TOTP), 409, "totp_exists")
    assert list(await session.exec(select(Totp.encrypted_secret))) == before
    assert (await user_client.delete(TOTP)).status_code == 204
    read_problem(await user_client.delete(TOTP), 404, "totp_not_found")
    assert (await user_client.post(TOTP)).status_code == 201


async def test_asvs_6_5_6_removal_signs_other_devices_out(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    await add_recovery_codes(session, user)
    await make_token(session, user)
    await session.exec(update(LoginSession).values(is_strong=True))
    await session.commit()
    assert (await user_client.delete(TOTP)).status_code == 204
    assert list(await session.exec(select(LoginSession.is_strong))) == [False]
    assert list(await session.exec(select(RecoveryCode.code_hash))) == []
    (told,) = await find_changes(session)
    assert (told["factor"], told["change"]) == ("totp", "removed")


async def test_new_recovery_codes_replace_the_old(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    read_problem(await user_client.post(RECOVERY), 409, "no_second_factor")
    await add_totp(session, user)
    old = {*await add_recovery_codes(session, user)}
    codes = (await user_client.post(RECOVERY)).json()["recovery_codes"]
    assert len({*codes} - old) == 10
    assert len(list(await session.exec(select(RecoveryCode.code_hash)))) == 10
    (told,) = await find_changes(session)
    assert (told["factor"], told["change"]) == ("recovery_codes", "made anew")


@pytest.mark.parametrize("route", [f"POST {TOTP}", f"DELETE {TOTP}", f"POST {RECOVERY}"])
async def test_change_needs_a_recent_login(
    user_client: AsyncClient, session: AsyncSession, user: User, route: str
) -> None:
    await add_totp(session, user)
    await move_login_back(session, user, authenticated_at="15 minutes")
    read_problem(await user_client.request(*route.split()), 403, "recent_login_required")
    answer = await user_client.post(CONFIRM, json={"code": "000000"})
    read_problem(answer, 403, "recent_login_required")
