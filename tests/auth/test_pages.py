import re
from base64 import b64encode
from hashlib import sha256

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from markupsafe import escape
from sqlalchemy import make_url
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.mail.models import Outbox
from app.mail.service import EMAIL_CHANGE, EMAIL_VERIFICATION, INVITATION, PASSWORD_RESET
from app.parts import NAME
from app.users.models import User
from tests.factories import PASSWORD, make_mail_token, make_user, reload_user
from tests.problems import read_problem

TITLES = {
    "/set-password": "Set a password",
    "/confirm-email": "Confirm your address",
    "/forgot-password": "Forgot your password?",
}
PATHS = [*TITLES]
NEW_PASSWORD = f"new {PASSWORD}"
TOKEN = f"uml_{'a' * 43}"
FORMS = {
    "/set-password": {"token": TOKEN, "new_password": NEW_PASSWORD},
    "/confirm-email": {"token": TOKEN},
    "/forgot-password": {"email": "ada@example.com"},
}
SURROGATES = b"".join(
    b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\\ud800\r\n' % name
    for name in (b"token", b"new_password", b"email")
)
SURROGATES_TYPE = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


def read_page(response: Response, status: int, title: str) -> str:
    """Return the page's HTML, having checked what all of them share."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-security-policy"] == make_policy(response.text)
    error = "Error: " if status >= 400 else ""
    assert f"<title>{error}{title} | {escape(NAME)}</title>" in response.text
    assert f"<h1>{title}</h1>" in response.text
    assert not re.search(r"<[^>]+\s(?:style|on\w+)=", response.text)
    assert not re.search(r"(?:src|href)=\"(?!(?:forgot-password|sign-in)\")", response.text)
    return response.text


def make_policy(html: str) -> str:
    """Write the policy that lets the page's own script and style be, and nothing else."""
    script, style = (hash_inline(html, element) for element in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style};"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def hash_inline(html: str, element: str) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


async def log_in(client: AsyncClient, email: str, password: str) -> int:
    form = {"username": email, "password": password}
    return (await client.post("/api/v1/auth/login", data=form)).status_code


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
    read_problem(await user_client.get("/api/v1/users/me"), 401, "invalid_token")
    assert await log_in(user_client, user.email, NEW_PASSWORD) == 200
    assert await log_in(user_client, user.email, PASSWORD) == 401


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


async def test_page_says_when_to_try_again(client: AsyncClient) -> None:
    for _ in range(3):
        answer = await client.post("/forgot-password", data=FORMS["/forgot-password"])
        read_page(answer, 200, "Look into your mail")
    answer = await client.post("/forgot-password", data=FORMS["/forgot-password"])
    html = read_page(answer, 429, "Forgot your password?")
    assert "There were too many attempts; try again later." in html
    assert "You can do so in 20 minutes." in html
    assert 1140 < int(answer.headers["retry-after"]) <= 1200


async def test_asvs_6_3_1_tries_of_tokens_are_limited(client: AsyncClient) -> None:
    answers = [
        (await client.post(path, data=FORMS[path])).status_code
        for _ in range(11)
        for path in ("/set-password", "/confirm-email")
    ]
    assert answers == [400] * 20 + [429] * 2


async def test_busy_service_is_told_on_the_page(app: FastAPI, client: AsyncClient) -> None:
    form = FORMS["/forgot-password"]
    app.state.database = Database(make_url("postgresql+psycopg://127.0.0.1:1/none"), pool_size=1)
    answer = await client.post("/forgot-password", data=form)
    html = read_page(answer, 503, "Forgot your password?")
    assert "The service is busy; try again." in html
    assert int(answer.headers["retry-after"]) > 0
    assert f'value="{form["email"]}"' in html


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "canary"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://test"}, 403),
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "https://test.other.example"}, 403),
        ({"Origin": "http://test:8000"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, None),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Origin": "http://test"}, None),
        ({"Origin": "https://test"}, None),  # behind a proxy that speaks TLS
        ({"Origin": "null"}, None),
        ({}, None),
    ],
)
async def test_asvs_3_5_1_post_from_another_site_is_refused(
    client: AsyncClient, session: AsyncSession, headers: dict[str, str], status: int | None
) -> None:
    for path, form in FORMS.items():
        answer = await client.post(path, data=form, headers=headers)
        assert (answer.status_code == 403) == (status == 403), path
        if status == 403:
            html = read_page(answer, 403, TITLES[path])
            assert "sent from another site" in html
            assert not any(value in html for value in form.values())
    assert bool((await session.exec(select(Outbox))).all()) == (status is None)


async def test_asvs_3_5_2_page_opens_from_any_site_and_sets_no_cookie(client: AsyncClient) -> None:
    for path in PATHS:
        answer = await client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&===",
        b"token=&new_password=&email=",
        b"token=%00&new_password=%00&email=%00",
        b"token=%ED%A0%80&new_password=%ED%A0%80&email=%ED%A0%80",
        b"token=\xff&new_password=canary+canary+canary\xff&email=a\xff@example.com",
        b"token=%&new_password=%zz&email=%",
        b"token=" + b"a" * 256 + b"&new_password=" + b"a" * 129 + b"&email=" + b"a" * 256,
        b"token=a\r\nb&new_password=a\r\nb&email=a@example.com\r\nBcc: b@example.com",
        b"token=a&token=b&new_password=" + PASSWORD.encode().replace(b" ", b"+") + b"&email=a",
        b"unknown=1&token=a&new_password=correct+horse+battery+staple&email=ada@example.com",
        b"&".join(b"a%d=" % number for number in range(5_000)),
        b"token=" + b"a" * 70_000,
    ],
)
async def test_page_refuses_hostile_forms(
    client: AsyncClient, session: AsyncSession, body: bytes
) -> None:
    for path in PATHS:
        answer = await client.post(path, content=body, headers=FORM_TYPE)
        assert 400 <= answer.status_code < 500
        html = read_page(answer, answer.status_code, TITLES[path])
        assert re.search(r'class="(?:error|problem)"', html)
        assert "canary canary" not in html
    assert (await session.exec(select(Outbox))).all() == []


async def test_page_refuses_what_is_no_form(client: AsyncClient) -> None:
    for path, form in FORMS.items():
        for answer in (
            await client.post(path, json=form),
            await client.post(path, content=b"a", headers={"Content-Type": "text/plain"}),
            await client.post(path, files=dict.fromkeys(form, b"a file")),
            await client.post(path, content=b"-", headers={"Content-Type": "multipart/form-data"}),
            await client.post(path, content=SURROGATES, headers=SURROGATES_TYPE),
        ):
            assert 400 <= answer.status_code < 500, answer.text


async def test_page_has_get_and_post_only(client: AsyncClient) -> None:
    for path in PATHS:
        read_problem(await client.put(path, data=FORMS[path]), 405, "method_not_allowed")
        head = await client.head(path)
        assert (head.status_code, head.headers["content-type"][:9]) == (200, "text/html")
