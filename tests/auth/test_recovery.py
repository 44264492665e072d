import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import EmailToken, Outbox
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
from tests.conftest import new_client
from tests.factories import (
    PASSWORD,
    make_account,
    make_invitation,
    make_mail_token,
    make_token,
    make_user,
    move_login_back,
    move_mail_tokens_back,
    reload_user,
    sign_in,
)
from tests.problems import read_problem

API = "/api/v1"
NEW_PASSWORD = f"new {PASSWORD}"


async def read_outbox(session: AsyncSession, *kinds: str) -> list[dict[str, Any]]:
    """Return what waits to be mailed, without the order."""
    found = await session.exec(select(Outbox).where(col(Outbox.kind).in_(kinds)))
    return [{"kind": each.kind, **each.payload} for each in found]


async def reset(client: AsyncClient, token: str) -> int:
    body = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post(f"{API}/auth/password-reset/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code


async def confirm(client: AsyncClient, token: str) -> int:
    body = {"token": token}
    answer = await client.post(f"{API}/auth/email-verification/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code


async def log_in(client: AsyncClient, email: str, password: str) -> int:
    form = {"username": email, "password": password}
    return (await client.post(f"{API}/auth/login", data=form)).status_code


async def test_sign_up_mails_a_link_to_verify_the_address(
    client: AsyncClient, session: AsyncSession
) -> None:
    user_id = (await client.post(f"{API}/auth/signup", json=make_account())).json()["id"]
    mails = await read_outbox(session, EMAIL_VERIFICATION)
    assert mails == [{"kind": EMAIL_VERIFICATION, "user_id": user_id}]


@pytest.mark.parametrize(
    "email", ["known@example.com", "inactive@example.com", "no@example.com", "no address"]
)
async def test_request_password_reset_answers_all_addresses_alike(
    client: AsyncClient, session: AsyncSession, email: str
) -> None:
    await make_user(session, email="known@example.com")
    await make_user(session, email="inactive@example.com", is_active=False)
    answer = await client.post(f"{API}/auth/password-reset", json={"email": email.upper()})
    assert (answer.status_code, answer.content) == (202, b"")
    assert await read_outbox(session, PASSWORD_RESET) == [
        {"kind": PASSWORD_RESET, "email": email if "@" in email else None}
    ]


async def test_reset_password_sets_it_once(client: AsyncClient, session: AsyncSession) -> None:
    user = await make_user(session)
    token = await make_mail_token(session, user, PASSWORD_RESET)
    assert await reset(client, f" {token}\n") == 204  # as it is pasted
    assert await log_in(client, user.email, PASSWORD) == 401
    assert await log_in(client, user.email, NEW_PASSWORD) == 200
    assert await reset(client, token) == 400


async def test_reset_password_ends_all_sessions(
    client: AsyncClient, session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    await sign_in(client, session, user)
    assert await reset(client, await make_mail_token(session, user, PASSWORD_RESET)) == 204
    for each in (client, user_client):
        read_problem(await each.get(f"{API}/users/me"), 401, "invalid_token")


async def test_reset_password_verifies_the_address_and_is_told_to_it(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    assert await reset(client, await make_mail_token(session, user, PASSWORD_RESET)) == 204
    assert (await reload_user(session, user)).email_verified_at is not None
    notices = await read_outbox(session, "password_changed")
    assert [notice["email"] for notice in notices] == [user.email]


async def test_reset_password_kills_the_other_links(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    used = await make_mail_token(session, user, PASSWORD_RESET)
    invitation = await make_mail_token(session, user, INVITATION)
    change = await make_mail_token(session, user, EMAIL_CHANGE, "thief@example.com")
    assert await reset(client, used) == 204
    assert await reset(client, invitation) == 400
    assert await confirm(client, change) == 400


async def test_invited_user_sets_a_password(
    client: AsyncClient, session: AsyncSession, superuser_client: AsyncClient
) -> None:
    answer = await superuser_client.post(f"{API}/users", json=make_invitation("new@example.com"))
    user = await session.get_one(User, answer.json()["id"])
    mails = await read_outbox(session, INVITATION)
    assert mails == [{"kind": INVITATION, "user_id": str(user.id)}]
    assert await reset(client, await make_mail_token(session, user, INVITATION)) == 204
    assert await log_in(client, user.email, NEW_PASSWORD) == 200


async def test_mail_password_link_invites_again_or_resets(
    superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    invitation = make_invitation("b@example.com")
    invited = (await superuser_client.post(f"{API}/users", json=invitation)).json()
    for user_id in (invited["id"], user.id):
        answer = await superuser_client.post(f"{API}/users/{user_id}/password-reset")
        assert (answer.status_code, answer.content) == (202, b"")
    assert len(await read_outbox(session, INVITATION)) == 2
    assert await read_outbox(session, PASSWORD_RESET) == [
        {"kind": PASSWORD_RESET, "email": user.email}
    ]


async def test_confirm_email_verifies_the_address(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    token = await make_mail_token(session, user, EMAIL_VERIFICATION)
    assert (await user_client.get(f"{API}/users/me")).json()["email_verified_at"] is None
    assert await confirm(user_client, token) == 204
    assert (await user_client.get(f"{API}/users/me")).json()["email_verified_at"]
    assert await confirm(user_client, token) == 400


async def test_request_email_verification_mails_nothing_to_the_verified(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    before = len(await read_outbox(session, EMAIL_VERIFICATION))
    for _ in range(2):
        answer = await user_client.post(f"{API}/auth/email-verification")
        assert (answer.status_code, answer.content) == (202, b"")
        await confirm(user_client, await make_mail_token(session, user, EMAIL_VERIFICATION))
    assert len(await read_outbox(session, EMAIL_VERIFICATION)) == before + 1


async def request_change(client: AsyncClient, email: str) -> None:
    answer = await client.post(f"{API}/users/me/email", json={"new_email": email})
    assert (answer.status_code, answer.content) == (202, b"")


async def test_request_email_change_answers_alike_for_a_taken_address(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    taken = (await make_user(session)).email
    for email in ("Free@example.com", taken):
        await request_change(user_client, email)
        assert await read_outbox(session, EMAIL_CHANGE) == [
            {"kind": EMAIL_CHANGE, "user_id": str(user.id), "email": email.lower()}
        ]


async def test_request_email_change_needs_a_recent_login(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await move_login_back(session, user, authenticated_at="16 minutes")
    body = {"new_email": "new@example.com"}
    answer = await user_client.post(f"{API}/users/me/email", json=body)
    read_problem(answer, 403, "recent_login_required")


async def test_change_of_address_signs_out_and_tells_the_old_one(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    old = user.email
    token = await make_mail_token(session, user, EMAIL_CHANGE, "new@example.com")
    assert await confirm(user_client, token) == 204
    read_problem(await user_client.get(f"{API}/users/me"), 401, "invalid_token")
    user = await reload_user(session, user)
    assert user.email == "new@example.com"
    assert user.email_verified_at is not None
    assert await read_outbox(session, "email_changed") == [
        {"kind": "email_changed", "user_id": str(user.id), "email": old}
    ]


async def test_change_of_address_answers_409_if_it_was_taken_meanwhile(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    token = await make_mail_token(session, user, EMAIL_CHANGE, "new@example.com")
    await make_user(session, email="new@example.com")
    answer = await user_client.post(f"{API}/auth/email-verification/confirm", json={"token": token})
    read_problem(answer, 409, "email_taken")
    assert (await user_client.get(f"{API}/users/me")).json()["email"] == user.email


async def test_change_of_address_kills_all_links_to_the_old_one(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    change = await make_mail_token(session, user, EMAIL_CHANGE, "new@example.com")
    others = [
        await make_mail_token(session, user, purpose) for purpose in (PASSWORD_RESET, INVITATION)
    ]
    verification = await make_mail_token(session, user, EMAIL_VERIFICATION)
    assert await confirm(client, change) == 204
    assert [await reset(client, token) for token in others] == [400, 400]
    assert await confirm(client, verification) == 400


async def test_link_to_another_address_sets_no_password(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    """Though it is live: the worker may have been minting it while the address changed."""
    token = await make_mail_token(session, user, PASSWORD_RESET, "old@example.com")
    assert await reset(client, token) == 400


async def test_change_of_password_kills_links_and_wanted_addresses(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    link = await make_mail_token(session, user, PASSWORD_RESET)
    change = await make_mail_token(session, user, EMAIL_CHANGE, "thief@example.com")
    await request_change(user_client, "thief@example.com")
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await user_client.put(f"{API}/users/me/password", json=body)).status_code == 204
    assert await reset(user_client, link) == 400
    assert await confirm(user_client, change) == 400
    assert await read_outbox(session, EMAIL_CHANGE) == []
    notices = await read_outbox(session, "password_changed")
    assert [notice["email"] for notice in notices] == [user.email]


@pytest.fixture
async def thiefs_link(client: AsyncClient, session: AsyncSession, user: User) -> str:
    """The token that was mailed to who is signed in as the user, and waits for one more."""
    await sign_in(client, session, user)
    await request_change(client, "thief@example.com")
    return await make_mail_token(session, user, EMAIL_CHANGE, "thief@example.com")


async def end_others(client: AsyncClient, _: AsyncClient) -> Response:
    return await client.delete(f"{API}/auth/sessions")


async def end_the_other(client: AsyncClient, _: AsyncClient) -> Response:
    devices = (await client.get(f"{API}/auth/sessions")).json()
    (thief,) = (device["id"] for device in devices if not device["current"])
    return await client.delete(f"{API}/auth/sessions/{thief}")


async def end_all_as_superuser(client: AsyncClient, superuser: AsyncClient) -> Response:
    user_id = (await client.get(f"{API}/users/me")).json()["id"]
    return await superuser.delete(f"{API}/users/{user_id}/sessions")


@pytest.mark.parametrize("end", [end_others, end_the_other, end_all_as_superuser])
async def test_thief_who_is_signed_out_takes_no_address_along(
    user_client: AsyncClient,
    superuser_client: AsyncClient,
    session: AsyncSession,
    thiefs_link: str,
    end: Callable[[AsyncClient, AsyncClient], Awaitable[Response]],
) -> None:
    assert (await end(user_client, superuser_client)).status_code == 204
    assert await read_outbox(session, EMAIL_CHANGE) == []
    assert await confirm(user_client, thiefs_link) == 400


async def test_wanted_address_outlives_a_log_out(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    token = await make_mail_token(session, user, EMAIL_CHANGE, "new@example.com")
    assert (await user_client.post(f"{API}/auth/logout")).status_code == 204
    assert await confirm(user_client, token) == 204


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


async def test_changes_of_address_are_limited_for_each_account(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    for number in range(5):
        await request_change(user_client, f"stranger{number}@example.com")
    body = {"new_email": "stranger5@example.com"}
    check_limited(await user_client.post(f"{API}/users/me/email", json=body), within=20 * 60)
    await sign_in(user_client, session, await make_user(session))
    await request_change(user_client, body["new_email"])


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
