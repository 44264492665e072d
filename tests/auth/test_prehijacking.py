"""A stranger has signed up with another's address, or changed to it: whose account is it then?"""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import EMAIL_CHANGE, EMAIL_VERIFICATION
from app.users.models import User
from tests.conftest import new_client
from tests.factories import PASSWORD, make_mail_token, make_user, reload_user, sign_in
from tests.problems import read_problem

API = "/api/v1"
EMAIL = "victim@example.com"
NEW_PASSWORD = f"new {PASSWORD}"


@pytest.fixture
async def stranger(user: User, user_client: AsyncClient) -> AsyncClient:
    """Who has made the account and is signed in to it."""
    assert (await user_client.get(f"{API}/users/me")).json()["email"] == user.email
    return user_client


async def log_in(client: AsyncClient, email: str, password: str) -> int:
    form = {"username": email, "password": password}
    return (await client.post(f"{API}/auth/login", data=form)).status_code


async def confirm(client: AsyncClient, token: str) -> None:
    body = {"token": token}
    answer = await client.post(f"{API}/auth/email-verification/confirm", json=body)
    assert answer.status_code == 204, answer.text


async def mint(session: AsyncSession, user: User, purpose: str) -> tuple[str, str]:
    """Return the address, and the code that was mailed to it."""
    email = user.email if purpose == EMAIL_VERIFICATION else EMAIL
    return email, await make_mail_token(session, user, purpose, email)


both = pytest.mark.parametrize("purpose", [EMAIL_VERIFICATION, EMAIL_CHANGE])


@both
@pytest.mark.parametrize("signed_in", ["nowhere", "elsewhere", "no longer"])
async def test_who_confirms_from_elsewhere_gets_the_account_alone(  # noqa: PLR0913  # fixtures
    app: FastAPI,
    stranger: AsyncClient,
    session: AsyncSession,
    user: User,
    *,
    purpose: str,
    signed_in: str,
) -> None:
    email, token = await mint(session, user, purpose)
    owner = new_client(app)
    if signed_in == "elsewhere":
        await sign_in(owner, session, await make_user(session))
    if signed_in == "no longer":
        owner.headers["Authorization"] = f"Bearer ust_{'a' * 43}"
    await confirm(owner, token)
    read_problem(await stranger.get(f"{API}/users/me"), 401, "invalid_token")
    assert await log_in(stranger, email, PASSWORD) == 401
    user = await reload_user(session, user)
    assert (user.email, user.email_verified_at is not None) == (email, True)


@both
async def test_page_asks_for_a_new_password_at_once(
    client: AsyncClient, stranger: AsyncClient, session: AsyncSession, user: User, purpose: str
) -> None:
    email, token = await mint(session, user, purpose)
    page = await client.post("/confirm-email", data={"token": token})
    assert "<title>Your address is confirmed" in page.text
    assert await log_in(stranger, email, PASSWORD) == 401
    (code,) = re.findall(r'name="token"[^>]* value="(uml_[\w-]+)"', page.text)
    (action,) = re.findall(r'<form method="post" action="([\w-]+)">', page.text)
    form = {"token": code, "new_password": "too short"}
    refused = await client.post(f"/{action}", data=form)
    assert f'value="{code}"' in refused.text
    chosen = await client.post(f"/{action}", data=form | {"new_password": NEW_PASSWORD})
    assert "<title>Your password is set" in chosen.text
    assert await log_in(client, email, NEW_PASSWORD) == 200


async def test_who_confirms_from_the_account_stays_signed_in_everywhere(
    app: FastAPI, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    other_device = new_client(app)
    await sign_in(other_device, session, user)
    await confirm(user_client, await make_mail_token(session, user, EMAIL_VERIFICATION))
    for client in (user_client, other_device):
        assert (await client.get(f"{API}/users/me")).json()["email_verified_at"]
    assert await log_in(user_client, user.email, PASSWORD) == 200


async def test_change_confirmed_from_the_account_keeps_its_password(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await confirm(user_client, await make_mail_token(session, user, EMAIL_CHANGE, EMAIL))
    read_problem(await user_client.get(f"{API}/users/me"), 401, "invalid_token")
    assert await log_in(user_client, EMAIL, PASSWORD) == 200


async def test_old_link_to_a_verified_address_changes_nothing(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    user.email_verified_at = user.created_at
    await confirm(client, await make_mail_token(session, user, EMAIL_VERIFICATION))
    page = {"token": await make_mail_token(session, user, EMAIL_VERIFICATION)}
    assert "new_password" not in (await client.post("/confirm-email", data=page)).text
    assert (await user_client.get(f"{API}/users/me")).status_code == 200
    assert await log_in(client, user.email, PASSWORD) == 200
