"""What people do on the pages, step by step, and what stops them."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit.models import AuditEvent
from app.mail.models import Outbox
from app.mail.queue import NEVER
from app.parts import create_gate
from app.settings import Settings
from app.users.models import User
from tests.conftest import new_client
from tests.factories import (
    PASSWORD,
    make_account,
    make_invitation,
    make_superuser,
    make_user,
    move_login_back,
    reload_user,
)
from tests.second_factors.factories import make_code

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


class Browser:
    """A visitor without JavaScript: keeps cookies, follows where forms lead."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        client.headers["Sec-Fetch-Site"] = "same-origin"

    async def open(self, path: str) -> str:
        return await self._read(await self.client.get(path))

    async def send(self, path: str, **form: Any) -> str:
        headers = {"Referer": f"http://test{path}"}
        return await self._read(await self.client.post(path, data=form, headers=headers))

    async def _read(self, answer: Response) -> str:
        self.path = answer.request.url.path
        if answer.status_code == 303:
            assert answer.headers["cache-control"] == "no-store"
            return await self.open(answer.headers["location"])
        self.status = answer.status_code
        assert answer.headers["cache-control"] == "no-store"
        return answer.text

    async def sign_in(self, user: User, **form: str) -> str:
        return await self.send("/sign-in", username=user.email, password=PASSWORD, **form)


def find_heading(html: str) -> str:
    (heading,) = re.findall(r"<h1>(.*?)</h1>", html)
    return unescape(heading)


def find_hidden(html: str) -> dict[str, str]:
    """Return what a page's forms send along without showing it."""
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html)
    return {name: unescape(value) for name, value in pairs}


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browser]:
    async with new_client(app) as client:
        yield Browser(client)


async def test_newcomer_signs_up_changes_the_account_and_leaves(
    browser: Browser, session: AsyncSession
) -> None:
    assert "Create account" in await browser.open("/")
    form = make_account("Ada@Example.com", full_name=HOSTILE, password="short")
    html = await browser.send("/sign-up", **form)
    assert (browser.status, find_heading(html)) == (422, "Create your account")
    assert "at least 15 characters" in html
    assert "short" not in html.replace("Too short", "")
    assert "<script>alert" not in html
    html = await browser.send("/sign-up", **form | {"password": PASSWORD})
    assert (browser.path, find_heading(html)) == ("/account", "Your account")
    assert "ada@example.com" in html
    assert "Not confirmed" in html
    assert "<script>alert" not in html
    assert "Hello, &lt;script&gt;" in await browser.open("/")
    assert "Your name is saved" in await browser.send("/account/name", full_name=" ")
    assert "Not given" in await browser.open("/account")
    assert "Follow the link in it" in await browser.send("/account/verification")
    assert "sent a mail" in await browser.send("/account/email", new_email="new@example.com")
    wrong = {"current_password": "wrong wrong wrong", "new_password": f"new {PASSWORD}"}
    html = await browser.send("/account/password", **wrong)
    assert (browser.status, "This is not your password." in html) == (400, True)
    html = await browser.send("/account/password", **wrong | {"current_password": PASSWORD})
    assert "Your new password is set" in html
    assert "Password changed" in await browser.open("/account/events")
    export = await browser.client.get("/account/export")
    assert export.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert export.json()["user"][0]["email"] == "ada@example.com"
    html = await browser.send("/account/delete", confirmation="bob@example.com")
    assert (browser.status, "not the address of your account" in html) == (422, True)
    assert "Create account" in await browser.send("/account/delete", confirmation="ada@example.com")
    assert (await session.exec(select(User.id))).all() == []
    assert find_heading(await browser.open("/account")) == "Sign in"


async def test_session_that_ends_amid_a_form_keeps_what_was_typed(
    app: FastAPI, browser: Browser, session: AsyncSession, user: User
) -> None:
    await browser.sign_in(user)
    browser.client.cookies.clear()
    html = await browser.send("/account/name", full_name='Ada "the first"', password="secret-1")
    assert (browser.status, find_heading(html)) == (401, "Sign in")
    assert "what you have typed is kept" in html
    assert "secret-1" not in html
    hidden = find_hidden(html)
    assert hidden == {"next": "/account/name", "kept.full_name": 'Ada "the first"'}
    html = await browser.send("/sign-in", username=user.email, password="no", **hidden)
    assert find_hidden(html) == hidden  # a wrong password loses nothing
    html = await browser.sign_in(user, **hidden)
    assert find_heading(html) == "Welcome back"
    await browser.send("/account/name", **find_hidden(html))
    assert (await reload_user(session, user)).full_name == 'Ada "the first"'
    # What asks for a login of the last minutes asks for it again, and goes on where it was.
    await move_login_back(session, user, authenticated_at="20 minutes")
    html = await browser.send("/account/email", new_email="new@example.com")
    assert find_heading(html) == "Confirm that it is you"
    html = await browser.open("/account/password")
    assert find_heading(html) == "Confirm that it is you"
    assert user.email in html
    html = await browser.sign_in(user, **find_hidden(html))
    assert (browser.path, find_heading(html)) == ("/account/password", "Your password")
    # A button of another's page, or of one's own from before, does nothing in this session.
    async with new_client(app) as client:
        other = Browser(client)
        await other.sign_in(await make_user(session))
        assert "Sign out" in await other.send("/account/name", **hidden)
    assert (await reload_user(session, user)).full_name == 'Ada "the first"'


ELSEWHERE = (
    "//evil.example.com",
    "https://evil.example.com/account",
    "/\\evil.example.com",
    "/account/../../x",
    "/account\r\nSet-Cookie: a=b",
    "/api/v1/users/me",
    "javascript:alert(1)",
    "/account?next=<script>",
)


async def test_sign_in_leads_nowhere_but_to_ones_pages(browser: Browser, user: User) -> None:
    for path in ELSEWHERE:
        html = await browser.sign_in(user, next=path)
        assert (browser.path, find_heading(html)) == ("/account", "Your account"), path


async def test_second_factor_is_set_up_asked_for_and_removed(browser: Browser, user: User) -> None:
    await browser.sign_in(user)
    html = await browser.send("/account/second-factors/app")
    (secret,) = re.findall(r"<code>(\w+)</code>", html)
    assert "<svg" in html
    html = await browser.send("/account/second-factors/app/confirm", code="000000")
    assert (browser.status, "This code is not right" in html) == (400, True)
    code = make_code(secret)
    html = await browser.send("/account/second-factors/app/confirm", code=code)
    codes = re.findall(r'<li class="code">([^<]+)</li>', html)
    assert (find_heading(html), len(codes)) == ("Your recovery codes", 10)
    await browser.send("/sign-out")
    html = await browser.sign_in(user, next="/account/devices")
    assert find_heading(html) == "Second step"
    assert "session" not in browser.client.cookies
    hidden = find_hidden(html)
    html = await browser.send("/sign-in/code", code="wrong", **hidden)
    assert (browser.status, "This code is not right" in html) == (401, True)
    assert find_hidden(html) == hidden
    html = await browser.send("/sign-in/code", code=codes[0], **find_hidden(html))
    assert find_heading(html) == "Devices"
    html = await browser.send("/sign-in/code", code=codes[1], **hidden)  # the page before, again
    assert find_heading(html) == "Confirm that it is you"
    html = await browser.open("/account/second-factors/app/remove")
    assert find_heading(html) == "Remove the app?"
    html = await browser.send("/account/second-factors/app/remove")
    assert "The app is removed" in html
    html = await browser.send("/account/second-factors/app/remove")  # of another tab
    assert (browser.status, find_heading(html)) == (404, "Not found")


async def test_administrator_looks_after_users(
    app: FastAPI, browser: Browser, session: AsyncSession, user: User
) -> None:
    admin = await make_superuser(session)
    user.full_name = HOSTILE
    session.add(user)
    await session.commit()
    await browser.sign_in(admin)
    html = await browser.open("/admin/users?search=&state=")
    assert user.email in html
    assert "<script>alert" not in html
    assert admin.email not in await browser.open("/admin/users?state=deactivated")
    assert user.email not in await browser.open("/admin/users?state=superuser")
    assert user.email in await browser.open(f"/admin/users?search={user.email}&state=active")
    html = await browser.open("/admin/users?limit=1&search=user")
    (older,) = re.findall(r'href="([^"]+cursor=[^"]+)">Older', html)
    both = html + await browser.open(unescape(older) + "&limit=1")
    assert (both.count(f">{user.email}</a>"), both.count(f">{admin.email}</a>")) == (1, 1)
    page = f"/admin/users/{user.id}"
    html = await browser.open(page)
    assert "<script>alert" not in html
    async with new_client(app) as client:
        other = Browser(client)
        await other.sign_in(user)
        assert find_heading(await browser.open(f"{page}/deactivate")) == "Deactivate this account?"
        assert "is deactivated" in await browser.send(f"{page}/deactivate")
        assert "is deactivated" in await browser.send(f"{page}/deactivate")  # of another tab
        assert find_heading(await other.open("/account")) == "Sign in"
        assert user.email in await browser.open("/admin/users?state=deactivated")
        assert "is active again" in await browser.send(f"{page}/activate")
        assert "is an administrator now" in await browser.send(f"{page}/promote")
        assert "Administration" in await other.sign_in(user)
        assert "no administrator any more" in await browser.send(f"{page}/demote")
        html = await other.open("/admin/users")
        assert (other.status, find_heading(html)) == (403, "Not allowed")
        assert "Sign out" in html  # the page knows who is looking
        assert "signed out everywhere" in await browser.send(f"{page}/sign-out")
    assert "on its way" in await browser.send(f"{page}/mail-link")
    html = await browser.send(f"/admin/users/{admin.id}/demote")
    assert (browser.status, "No active superuser would be left" in html) == (409, True)
    html = await browser.send("/admin/users/new", **make_invitation(user.email))
    assert (browser.status, "has this address already" in html) == (409, True)
    invitation = make_invitation("new@example.com")
    assert "is on its way" in await browser.send("/admin/users/new", **invitation)
    assert "The account is deleted" in await browser.send(f"{page}/delete")
    html = await browser.open(page)
    assert (browser.status, find_heading(html)) == (404, "Not found")
    events = await browser.open(f"/admin/events?kind=&user={user.id}&actor={admin.email}")
    assert "Nothing here is like that" in await browser.open(f"/admin/events?kind={'x' * 255}")
    assert "Nothing here is like that" in await browser.open("/admin/events?user=nobody")
    for kind in ("deactivate_user", "promote_user", "end_user_sessions", "delete_user"):
        assert f"pages-{kind}" in events
    of_admin = select(AuditEvent.kind).where(col(AuditEvent.actor_id) == admin.id)
    assert "pages-invite_user" in (await session.exec(of_admin)).all()


async def test_administrator_has_mail_tried_again(
    browser: Browser, session: AsyncSession, superuser: User
) -> None:
    waits = (await session.exec(select(Outbox))).one()
    waits.last_error, waits.attempts = f"550 no such user {HOSTILE}", 3
    waits.run_at += NEVER
    session.add(waits)
    await session.commit()
    await browser.sign_in(superuser)
    html = await browser.open("/admin/mail")
    assert "550 no such user" in html
    assert "<script>alert" not in html
    assert "Nothing waits" in html
    assert "is tried again" in await browser.send(f"/admin/mail/{waits.id}/retry")
    assert "Nothing was given up" in await browser.open("/admin/mail")
    await browser.send(f"/admin/mail/{superuser.id}/retry")
    assert browser.status == 404
    html = await browser.open("/admin/service")
    assert "As released" in html


async def test_second_factor_that_is_required_comes_first(
    app: FastAPI, browser: Browser, user: User
) -> None:
    settings = Settings(_env_file=None, second_factor_required="everybody")
    app.state.gate = create_gate(settings)
    html = await browser.sign_in(user)
    assert (browser.path, find_heading(html)) == ("/account/second-factors", "Second factors")
    assert "Your account needs a second factor" in html
    html = await browser.send("/account/second-factors/app")
    assert find_heading(html) == "Set up an app"
