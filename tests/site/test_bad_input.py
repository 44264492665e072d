"""What people do that nobody expects of them: old pages, other people's forms, hostile names."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.models import Outbox
from app.users.models import User
from tests.conftest import new_client
from tests.factories import make_account, make_invitation, make_superuser, make_user, reload_user
from tests.site.test_flows import HOSTILE, Browser, browser, find_heading, find_hidden

__all__ = ["browser"]  # a fixture
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 7


@pytest.fixture
async def other(app: FastAPI) -> AsyncIterator[Browser]:
    """Another browser, or another tab: it has a session of its own."""
    async with new_client(app) as client:
        yield Browser(client)


async def test_asvs_8_2_2_form_of_another_session_does_nothing_in_this_one(
    browser: Browser, other: Browser, session: AsyncSession, user: User
) -> None:
    await browser.sign_in(user)
    await other.sign_in(thief := await make_user(session))
    (device,) = await session.exec(select(LoginSession.id).where(LoginSession.user_id == user.id))
    await other.send(f"/account/devices/{device}/sign-out")
    assert other.status == 404
    html = await other.send("/account/delete", confirmation=user.email)
    assert (other.status, "not the address of your account" in html) == (422, True)
    for change in ("deactivate", "promote", "sign-out", "delete"):
        await other.send(f"/admin/users/{user.id}/{change}")
        assert other.status == 403, change
    # What was kept for somebody who had to sign in is saved for whoever does, and for nobody else.
    browser.client.cookies.clear()
    html = await browser.send("/account/name", full_name="Ada")
    html = await other.send("/account/name", **find_hidden(html))
    assert "Ada" not in html
    assert find_heading(await browser.sign_in(user)) == "Your account"
    for each in (user, thief):
        assert (await reload_user(session, each)).full_name != "Ada"


async def test_page_that_was_left_open_does_not_outlive_its_session(
    browser: Browser, user: User
) -> None:
    await browser.sign_in(user)
    await browser.open("/account/name")
    await browser.send("/sign-out")
    html = await browser.send("/account/name", full_name="Ada")
    assert (browser.status, find_heading(html)) == (401, "Sign in")
    for path in ("/account/devices/sign-out", "/account/second-factors/app"):
        html = await browser.send(path)
        assert find_heading(html) == "Sign in"


async def test_second_tab_sees_what_the_first_has_done_to_the_user(
    browser: Browser, other: Browser, session: AsyncSession, superuser: User, user: User
) -> None:
    second = await make_superuser(session)
    await browser.sign_in(superuser)
    await other.sign_in(second)
    page = f"/admin/users/{user.id}"
    for tab in (browser, other):
        assert find_heading(await tab.open(f"{page}/deactivate")) == "Deactivate this account?"
    await browser.send(f"{page}/deactivate")
    await other.send(f"{page}/promote")
    assert "is deactivated" in await browser.send(f"{page}/deactivate")
    html = await other.open(page)
    assert "Deactivated" in html
    assert "Administrator" in html
    await browser.send(f"{page}/delete")
    for change in ("activate", "demote", "mail-link", "delete"):
        html = await other.send(f"{page}/{change}")
        assert (other.status, find_heading(html)) == (404, "Not found"), change
    # Of two administrators who take the administration from each other, one remains.
    await browser.send(f"/admin/users/{second.id}/demote")
    await other.send(f"/admin/users/{superuser.id}/demote")
    assert other.status == 403


async def test_error_of_a_field_that_the_page_does_not_have_is_told_at_its_top(
    browser: Browser, superuser: User
) -> None:
    await browser.sign_in(superuser)
    invitation = make_invitation("new@example.com", language="xx", is_active="maybe")
    html = await browser.send("/admin/users/new", **invitation)
    alert = html.partition('role="alert"')[2].partition("</div>")[0]
    assert (browser.status, find_heading(html)) == (422, "Invite a user")
    assert "<p><code>is_active</code>: Input should be a valid boolean.</p>" in alert
    assert "<p><code>language</code>: Input should be " in alert
    invitation = make_invitation("new@example.com", full_name="x" * 256)
    html = await browser.send("/admin/users/new", **invitation)
    assert ("This is too long." in html, 'role="alert"' in html) == (True, False)


async def test_hostile_and_long_names_are_text_in_every_list(
    browser: Browser, session: AsyncSession, superuser: User
) -> None:
    browser.client.headers["User-Agent"] = f"Mozilla/5.0 {HOSTILE}"
    html = await browser.send("/sign-up", **make_account("x@example.com", full_name=HOSTILE))
    assert find_heading(html) == "Your account"
    for path in ("/", "/account", "/account/name", "/account/devices", "/account/events"):
        assert is_harmless(await browser.open(path)), path
    html = await browser.send("/account/name", full_name=f"{HOSTILE}\r\n{HOSTILE}")
    assert (browser.status, is_harmless(html)) == (422, True)
    await browser.send("/account/name", full_name=LONG)
    assert LONG in await browser.open("/account")
    await browser.send("/account/name", full_name=f"\u202e{HOSTILE}")
    mail = (await session.exec(select(Outbox))).first()
    assert mail is not None
    mail.payload |= {"email": HOSTILE}
    mail.kind, mail.last_error, mail.run_at = HOSTILE[:50], HOSTILE, datetime.now(UTC)
    session.add(mail)
    await session.commit()
    await browser.sign_in(superuser)
    user = (await session.exec(select(User).where(User.email == "x@example.com"))).one()
    for path in (
        *("/admin/users", f"/admin/users/{user.id}", f"/admin/users/{user.id}/delete"),
        *("/admin/events", "/admin/mail", "/admin/service", "/account/devices"),
    ):
        assert is_harmless(await browser.open(path)), path
    for query in ("search", "state", "cursor", "role", "other", "done"):
        assert is_harmless(await browser.open(f"/admin/users?{query}={HOSTILE}")), query
    for query in ("kind", "user", "actor"):
        assert is_harmless(await browser.open(f"/admin/events?{query}={HOSTILE}")), query


class Reader(HTMLParser):
    """Reads a page as browsers do, and notes what would run."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if (tag == "script" and "src" not in names) or any(each.startswith("on") for each in names):
            self.running.append(tag)


def is_harmless(html: str) -> bool:
    reader = Reader()
    reader.feed(html)
    return reader.running == []
