"""The pages that links of mails open: their forms, what these do, and what they say."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox
from app.mail.service import EMAIL_CHANGE, EMAIL_VERIFICATION, INVITATION, PASSWORD_RESET
from app.users.models import User
from tests.auth.accounts import ME, NEW_PASSWORD, log_in
from tests.auth.pages import FORMS, PATHS, TITLES, read_page
from tests.factories import PASSWORD, make_mail_token, make_user, reload_user
from tests.problems import read_problem


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/set-password", ["token", "new_password"]),
        ("/confirm-email", ["token"]),
        ("/forgot-password", ["email"]),
    ],
)
async def test_page_shows_a_form_with_a_label_for_each_field(
    client: AsyncClient, path: str, fields: list[str]
) -> None:
    html = read_page(await client.get(path), 200, TITLES[path])
    assert '<html lang="en">' in html
    assert re.findall(r' name="(?!viewport|color-scheme|robots)(\w+)"', html) == fields
    assert re.findall(r'<label for="(\w+)"', html) == fields
    assert '<form method="post">' in html
    for attribute in ('type="password"', 'autocomplete="new-password"'):
        assert (attribute in html) == ("new_password" in fields)
    assert "onpaste" not in html


async def test_page_is_no_part_of_the_documented_api(app: FastAPI) -> None:
    assert not {*PATHS} & app.openapi()["paths"].keys()


@pytest.mark.parametrize("purpose", [PASSWORD_RESET, INVITATION])
async def test_set_password_sets_it_and_signs_out(
    user_client: AsyncClient, session: AsyncSession, user: User, purpose: str
) -> None:
    token = await make_mail_token(session, user, purpose)
    form = {"token": f" {token}\r\n", "new_password": NEW_PASSWORD}
    html = read_page(
        await user_client.post("/set-password", data=form), 200, "Your password is set"
    )
    assert token not in html
    read_problem(await user_client.get(ME), 401, "invalid_token")
    assert (await log_in(user_client, user.email, NEW_PASSWORD)).status_code == 200
    assert (await log_in(user_client, user.email, PASSWORD)).status_code == 401


async def test_set_password_shows_why_a_password_is_refused_and_keeps_the_code(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    token = await make_mail_token(session, user, PASSWORD_RESET)
    form = {"token": token, "new_password": "canary"}
    html = read_page(await client.post("/set-password", data=form), 422, "Set a password")
    assert "it needs at least 15 characters" in html
    assert f'value="{token}"' in html
    assert "canary" not in html
    described = 'aria-describedby="hint-new_password error-new_password"'
    assert re.search(rf'id="new_password"[^>]* aria-invalid="true" autofocus {described}', html)
    form["new_password"] = NEW_PASSWORD
    read_page(await client.post("/set-password", data=form), 200, "Your password is set")


async def test_set_password_leads_from_a_dead_link_to_a_new_one(client: AsyncClient) -> None:
    answer = await client.post("/set-password", data=FORMS["/set-password"])
    html = read_page(answer, 400, "Set a password")
    assert "This code is not valid, or no longer." in html
    assert '<a href="forgot-password">' in html
    assert NEW_PASSWORD not in html


@pytest.mark.parametrize("purpose", [EMAIL_VERIFICATION, EMAIL_CHANGE])
async def test_confirm_email_verifies_the_address(
    client: AsyncClient, session: AsyncSession, user: User, purpose: str
) -> None:
    new = user.email if purpose == EMAIL_VERIFICATION else "new@example.com"
    form = {"token": await make_mail_token(session, user, purpose, new)}
    answer = await client.post("/confirm-email", data=form)
    read_page(answer, 200, "Your address is confirmed")
    user = await reload_user(session, user)
    assert (user.email, user.email_verified_at is not None) == (new, True)
    again = await client.post("/confirm-email", data=form)
    html = read_page(again, 400, "Confirm your address")
    assert "This code is not valid, or no longer." in html
    assert "have a new mail sent" in html


async def test_confirm_email_says_that_the_address_was_taken_meanwhile(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    form = {"token": await make_mail_token(session, user, EMAIL_CHANGE, "new@example.com")}
    await make_user(session, email="new@example.com")
    answer = await client.post("/confirm-email", data=form)
    html = read_page(answer, 409, "Confirm your address")
    assert re.search(r'role="alert" tabindex="-1" autofocus>\s*<p>Another user already has', html)


async def test_asvs_6_3_8_forgot_password_says_the_same_of_every_address(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    pages = set()
    for email in (user.email.upper(), "nobody@example.com", "no address"):
        answer = await client.post("/forgot-password", data={"email": email})
        html = read_page(answer, 200, "Look into your mail")
        pages.add(html.replace(email, "..."))
    assert len(pages) == 1
    kinds = select(Outbox).where(col(Outbox.kind) == PASSWORD_RESET)
    mailed = {mail.payload["email"] for mail in await session.exec(kinds)}
    assert mailed == {user.email, "nobody@example.com", None}


async def test_forgot_password_shows_what_was_typed_as_text(client: AsyncClient) -> None:
    answer = await client.post("/forgot-password", data={"email": 'ada"<b>'})
    assert "ada&#34;&lt;b&gt;" in read_page(answer, 200, "Look into your mail")
