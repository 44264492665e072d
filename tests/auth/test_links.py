"""The links of mails: how long, how often, and for what they count."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import EmailToken
from app.mail.service import (
    EMAIL_CHANGE,
    EMAIL_VERIFICATION,
    INVITATION,
    LIFETIMES,
    PASSWORD_RESET,
    Proof,
    mint_token,
)
from app.users.models import User
from tests.auth.accounts import API, NEW_PASSWORD, confirm, read_outbox, reset
from tests.conftest import new_client
from tests.factories import (
    make_mail_token,
    make_token,
    make_user,
    move_mail_tokens_back,
)
from tests.problems import read_problem


async def test_deactivation_kills_links_for_good(
    superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    link = await make_mail_token(session, user, PASSWORD_RESET)
    verification = await make_mail_token(session, user, EMAIL_VERIFICATION)
    await superuser_client.patch(f"{API}/users/{user.id}", json={"is_active": False})
    assert await confirm(superuser_client, verification) == 400
    await superuser_client.patch(f"{API}/users/{user.id}", json={"is_active": True})
    assert await reset(superuser_client, link) == 400


async def test_inactive_user_cannot_use_a_link(client: AsyncClient, session: AsyncSession) -> None:
    user = await make_user(session, is_active=False)
    assert await reset(client, await make_mail_token(session, user, PASSWORD_RESET)) == 400


@pytest.mark.parametrize("purpose", LIFETIMES)
async def test_asvs_6_5_5_token_expires(
    client: AsyncClient, session: AsyncSession, user: User, purpose: str
) -> None:
    use = reset if purpose in (PASSWORD_RESET, INVITATION) else confirm
    for interval, status in ((LIFETIMES[purpose] - timedelta(minutes=1), 204), (None, 400)):
        token = await make_mail_token(session, user, purpose)
        await move_mail_tokens_back(session, str(interval or LIFETIMES[purpose]))
        assert await use(client, token) == status


async def test_lifetimes_are_bounded() -> None:
    assert {purpose: str(lifetime) for purpose, lifetime in LIFETIMES.items()} == {
        PASSWORD_RESET: "0:30:00",
        EMAIL_CHANGE: "1:00:00",
        EMAIL_VERIFICATION: "1 day, 0:00:00",
        INVITATION: "7 days, 0:00:00",
    }


async def test_asvs_6_5_1_second_request_kills_the_first_link(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    first, second = [await make_mail_token(session, user, PASSWORD_RESET) for _ in range(2)]
    assert await reset(client, first) == 400
    assert await reset(client, second) == 204


async def test_asvs_6_5_2_only_the_hash_of_a_random_token_is_stored(
    session: AsyncSession, user: User
) -> None:
    proof = Proof(user.id, PASSWORD_RESET, user.email)
    tokens = [await mint_token(session, proof) for _ in range(100)]
    assert len({*tokens}) == 100
    assert {len(token) for token in tokens} == {len("uml_") + 43}  # 256 bits in base64url
    (stored,) = await session.exec(select(EmailToken))
    assert len(stored.token_hash) == 32
    assert tokens[-1] not in repr(stored)


async def test_asvs_6_5_4_token_serves_one_purpose_only(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    access = await make_token(session, user)
    link = await make_mail_token(session, user, PASSWORD_RESET)
    verification = await make_mail_token(session, user, EMAIL_VERIFICATION)
    assert await reset(client, access) == 400
    assert await confirm(client, access) == 400
    assert await confirm(client, link) == 400
    assert await reset(client, verification) == 400
    client.headers["Authorization"] = f"Bearer {link}"
    read_problem(await client.get(f"{API}/users/me"), 401, "invalid_token")


@pytest.mark.parametrize("token", ["", "uml_", "\x00", "ü", "a" * 255])
async def test_malformed_token_answers_like_an_unknown_one(client: AsyncClient, token: str) -> None:
    assert await reset(client, token) == 400
    assert await confirm(client, token) == 400


async def test_asvs_6_5_1_one_of_50_parallel_uses_succeeds(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    token = await make_mail_token(live_session, user, PASSWORD_RESET)
    # Each from a network of its own, as one is limited to fewer.
    clients = [new_client(live_app, f"192.0.2.{number}") for number in range(50)]
    statuses = await asyncio.gather(*(reset(client, token) for client in clients))
    assert sorted(statuses) == [204] + [400] * 49


@pytest.mark.parametrize("email", ["known@example.com", "unknown@example.com"])
async def test_requests_for_a_mailbox_are_limited(
    client: AsyncClient, session: AsyncSession, email: str
) -> None:
    await make_user(session, email="known@example.com")
    local_part = email.partition("@")[0]
    bodies = [{"email": each} for each in (email, email.upper(), f"{local_part}+tag@example.com")]
    for body in bodies:
        answer = await client.post(f"{API}/auth/password-reset", json=body)
        assert answer.status_code == 202
    answer = await client.post(f"{API}/auth/password-reset", json=bodies[0])
    check_limited(answer, within=20 * 60)
    assert len(await read_outbox(session, PASSWORD_RESET)) == 3


def check_limited(answer: Response, *, within: int) -> None:
    read_problem(answer, 429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= within


@pytest.mark.parametrize(
    ("path", "body"),
    [("/users/me/email", {"new_email": "stranger@example.com"}), ("/auth/email-verification", {})],
)
async def test_confirmations_of_a_mailbox_are_limited(
    user_client: AsyncClient, path: str, body: dict[str, str]
) -> None:
    for _ in range(3):
        assert (await user_client.post(f"{API}{path}", json=body)).status_code == 202
    check_limited(await user_client.post(f"{API}{path}", json=body), within=20 * 60)


async def test_tries_of_tokens_are_limited(
    app: FastAPI, client: AsyncClient, session: AsyncSession, user: User
) -> None:
    for _ in range(10):
        assert await reset(client, "uml_guess") == await confirm(client, "uml_guess") == 400
    token = await make_mail_token(session, user, EMAIL_VERIFICATION)
    for path in ("email-verification", "password-reset"):
        body = {"token": token} | ({"new_password": NEW_PASSWORD} if "reset" in path else {})
        check_limited(await client.post(f"{API}/auth/{path}/confirm", json=body), within=60)
    assert await confirm(new_client(app, "192.0.2.1"), token) == 204
