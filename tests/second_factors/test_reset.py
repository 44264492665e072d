"""The way back for who has lost every second factor."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import Interval, type_coerce
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.letters import write_letter
from app.mail.models import Outbox
from app.parts import create_gate
from app.second_factors.models import RecoveryCode, Totp
from app.second_factors.reset import RESET, reset_at_once
from app.settings import Settings
from app.users.models import User
from app.users.service import UserNotFound
from tests.factories import make_mail_token, move_mail_tokens_back
from tests.problems import read_problem
from tests.second_factors.factories import (
    add_recovery_codes,
    add_totp,
    give_code,
    give_password,
    make_challenge,
)

CONFIRM = "/api/v1/auth/second-factor-reset/confirm"
PAGE = "/reset-second-factors"


def path_of(user: User) -> str:
    return f"/api/v1/users/{user.id}/second-factor-reset"


async def find_mail(session: AsyncSession) -> list[tuple[str, timedelta]]:
    """Return what is to be sent about the reset, and how much later."""
    delay = type_coerce(col(Outbox.run_at) - col(Outbox.created_at), Interval())
    mails = select(Outbox.kind, delay)
    ours = mails.where(col(Outbox.kind).startswith(RESET)).order_by(col(Outbox.run_at))
    return [(kind, delay) for kind, delay in await session.exec(ours)]


async def receive_code(session: AsyncSession, user: User) -> str:
    """Return the code of the mail as the worker writes it."""
    payload = {"user_id": str(user.id), "email": user.email}
    letter = await write_letter(session, RESET, payload)
    await session.commit()
    assert letter is not None
    assert letter.to == user.email
    code: str = letter.values["token"]
    return code


async def count_factors(session: AsyncSession) -> int:
    apps = list(await session.exec(select(Totp.user_id)))
    return len(apps) + len(list(await session.exec(select(RecoveryCode.user_id))))


async def test_asvs_6_4_4_administrators_reset_warns_and_takes_a_day(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    read_problem(await superuser_client.post(path_of(user)), 409, "no_second_factor")
    await add_totp(session, user)
    await add_recovery_codes(session, user)
    for _ in range(2):  # asked twice, it begins anew
        assert (await superuser_client.post(path_of(user))).status_code == 202
    first, *_, last = await find_mail(session)
    assert first == (f"{RESET}_requested", timedelta(0))
    assert last == (RESET, timedelta(hours=24))
    assert [kind for kind, _ in await find_mail(session)].count(RESET) == 1
    read_problem(await give_password(client, user), 403, "second_factor_required")
    code = await receive_code(session, user)
    answer = await client.post(CONFIRM, json={"token": code})
    assert answer.status_code == 204
    assert await count_factors(session) == 0
    mine = select(LoginSession.id).where(LoginSession.user_id == user.id)
    assert list(await session.exec(mine)) == []
    assert (await give_password(client, user)).status_code == 200
    read_problem(await client.post(CONFIRM, json={"token": code}), 400, "invalid_token")


async def test_login_with_the_second_factor_ends_a_reset(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    recovery_code, *_ = await add_recovery_codes(session, user)
    assert (await superuser_client.post(path_of(user))).status_code == 202
    code = await receive_code(session, user)
    challenge = await make_challenge(session, user)
    assert (await give_code(client, challenge, recovery_code)).status_code == 200
    assert [kind for kind, _ in await find_mail(session)] == [f"{RESET}_requested"]
    read_problem(await client.post(CONFIRM, json={"token": code}), 400, "invalid_token")
    assert await count_factors(session) == 10


async def test_link_is_for_the_address_that_was_warned(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    payload = {"user_id": str(user.id), "email": user.email}
    code = await receive_code(session, user)
    await session.exec(update(User).values(email="other@example.com"))
    await session.commit()
    session.expire_all()
    read_problem(await client.post(CONFIRM, json={"token": code}), 400, "invalid_token")
    assert await write_letter(session, RESET, payload) is None
    assert await count_factors(session) == 1


async def test_link_ends_after_a_day_and_serves_one_purpose(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    code = await receive_code(session, user)
    for purpose in ("password_reset", "email_verification"):
        other = await make_mail_token(session, user, purpose)
        read_problem(await client.post(CONFIRM, json={"token": other}), 400, "invalid_token")
    await move_mail_tokens_back(session, "24 hours")
    read_problem(await client.post(CONFIRM, json={"token": code}), 400, "invalid_token")
    assert await count_factors(session) == 1


async def test_page_removes_second_factors(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await add_totp(session, user)
    page = await client.get(PAGE)
    assert "Remove your second factors" in page.text
    assert "Remove your second factors" in (await client.post(PAGE, data={"token": "x"})).text
    assert await count_factors(session) == 1
    page = await client.post(PAGE, data={"token": await receive_code(session, user)})
    assert "Your second factors are removed" in page.text
    assert await count_factors(session) == 0


async def test_command_removes_second_factors_at_once(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    gate: Any = create_gate(Settings(_env_file=None))
    await add_totp(session, user)
    await reset_at_once(session, gate, user.email)
    await session.commit()
    assert (await give_password(client, user)).status_code == 200
    changed = select(Outbox.payload).where(Outbox.kind == "second_factor_changed")
    (told,) = await session.exec(changed)
    assert (told["email"], told["factor"], told["change"]) == (user.email, "all", "removed")
    with pytest.raises(UserNotFound):
        await reset_at_once(session, gate, "nobody@example.com")
