"""Another address for an account: who may ask for it, and what it ends."""

from collections.abc import Awaitable, Callable

import pytest
from httpx2 import AsyncClient, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import (
    EMAIL_CHANGE,
    EMAIL_VERIFICATION,
    INVITATION,
    PASSWORD_RESET,
)
from app.users.models import User
from tests.auth.accounts import API, NEW_PASSWORD, confirm, read_outbox, request_change, reset
from tests.auth.test_links import check_limited
from tests.factories import (
    PASSWORD,
    make_mail_token,
    make_user,
    move_login_back,
    reload_user,
    sign_in,
)
from tests.problems import read_problem


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


async def test_changes_of_address_are_limited_for_each_account(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    for number in range(5):
        await request_change(user_client, f"stranger{number}@example.com")
    body = {"new_email": "stranger5@example.com"}
    check_limited(await user_client.post(f"{API}/users/me/email", json=body), within=20 * 60)
    await sign_in(user_client, session, await make_user(session))
    await request_change(user_client, body["new_email"])
