import pytest
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import (
    EMAIL_CHANGE,
    EMAIL_VERIFICATION,
    INVITATION,
    PASSWORD_RESET,
)
from app.users.models import User
from tests.auth.accounts import API, NEW_PASSWORD, confirm, read_outbox, reset
from tests.factories import (
    PASSWORD,
    make_account,
    make_invitation,
    make_mail_token,
    make_user,
    reload_user,
    sign_in,
)
from tests.problems import read_problem


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
