"""One's own account and the documentation in a real Chromium, as a person and axe-core see them."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP

from app.parts import NAME
from tests.browsers import MISSING, find_browser
from tests.factories import PASSWORD
from tests.passkeys.browsers import add_authenticator
from tests.site.browsing import (
    NARROW,
    Site,
    fill_in_the_rest,
    look,
    open_page,
    press,
    sign_in,
    sign_up,
    site,
    tab_to,
    take_picture,
)

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

__all__ = ["open_page", "site"]  # fixtures


def test_person_walks_through_the_account(open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    remove_authenticator = add_authenticator(page)
    look(page, NAME, "home")
    page.get_by_role("main").get_by_role("link", name="Create account").click()
    look(page, "Create your account", "sign-up")
    sign_up(page, "eve@example.com", "password")
    look(page, "Create your account", "sign-up-refused")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create account")
    look(page, "Your account", "account")
    page.get_by_role("link", name="Change the name").click()
    look(page, "Your name", "name")
    page.get_by_label("Name").fill("Eve")
    press(page, "Save")
    expect(page.get_by_role("status")).to_have_text("Your name is saved.")
    expect(page).to_have_url(re.compile("/account$"))
    page.get_by_role("link", name="Change the password").click()
    look(page, "Your password", "password")
    page.goto("/account/email")
    look(page, "Another address", "email")
    code = set_up_app(page)
    page.get_by_role("link", name="Passkeys").click()
    look(page, "Passkeys", "passkeys-none")
    page.get_by_label("Name").fill("Laptop")
    press(page, "Add a passkey")
    expect(page.get_by_role("status")).to_contain_text("The passkey is added.")
    look(page, "Passkeys", "passkeys")
    remove_authenticator()  # else it signs in by itself
    press(page, "Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")  # nothing of the cache
    come_back_and_leave(page, code)


def set_up_app(page: Page) -> str:
    """Add an app for codes, and return a recovery code."""
    page.get_by_role("link", name="Second factors").click()
    look(page, "Second factors", "second-factors-off")
    press(page, "Set up an app")
    look(page, "Set up an app", "app")
    secret = page.locator("code").inner_text()
    page.get_by_label("Code", exact=True).fill(TOTP(secret).now())
    press(page, "Turn on")
    look(page, "Your recovery codes", "recovery-codes")
    code = page.locator(".code").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()
    look(page, "Second factors", "second-factors-on")
    return code


def come_back_and_leave(page: Page, code: str) -> None:
    page.goto("/sign-in?next=/account/devices")
    look(page, "Sign in", "sign-in")
    sign_in(page, "eve@example.com", PASSWORD)
    look(page, "Second step", "second-step")
    page.get_by_label("Code", exact=True).fill(code)
    press(page, "Go on")
    look(page, "Devices", "devices")
    page.get_by_role("link", name="History").click()
    look(page, "History", "history")
    page.goto("/account/second-factors/app/remove")
    look(page, "Remove the app?", "app-removal")
    page.goto("/account/delete")
    look(page, "Delete your account", "delete")
    page.get_by_label("Type your e-mail address").fill("eve@example.com")
    press(page, "Delete everything")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)


def test_passkey_signs_in_without_a_password(open_page: Callable[..., Page]) -> None:
    page = open_page("/sign-up")
    add_authenticator(page)
    sign_up(page, "pia@example.com")
    page.goto("/account/passkeys")
    press(page, "Add a passkey")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    press(page, "Sign out")
    # The browser offers the passkey with the field; this one takes it by itself.
    page.goto("/sign-in?next=/account/passkeys")
    expect(page.get_by_role("heading", level=1)).to_have_text("Passkeys")
    page.get_by_role("link", name=re.compile("Remove ")).click()
    look(page, "Remove this passkey?", "passkey-removal")
    press(page, "Remove the passkey")
    expect(page.get_by_role("status")).to_contain_text("The passkey is removed.")


def test_everything_works_without_javascript(open_page: Callable[..., Page]) -> None:
    page = open_page("/sign-up", java_script_enabled=False, viewport=NARROW)
    sign_up(page, "noa@example.com")
    page.get_by_role("link", name="Change the name").click()
    page.get_by_label("Name").fill("Noa")
    page.context.clear_cookies()  # the session ends in mid-form
    press(page, "Save")
    sign_in(page, "noa@example.com", PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    take_picture(page, "welcome-back")
    press(page, "Go on")
    expect(page.get_by_role("status")).to_have_text("Your name is saved.")
    expect(page.get_by_role("main")).to_contain_text("Noa")


def test_account_is_changed_by_keyboard_alone(open_page: Callable[..., Page]) -> None:
    page = open_page("/sign-up")
    page.keyboard.type("kay@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type("Kay")
    tab_to(page, page.get_by_label("Password", exact=True))
    page.keyboard.type(PASSWORD)
    fill_in_the_rest(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Change the name"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your name")
    tab_to(page, page.get_by_label("Name"))
    page.keyboard.type(" the keyboarder")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Your name is saved.")
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("main").get_by_role("link", name="Sign in"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("kay@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_asvs_3_5_2_form_of_another_site_signs_nobody_out(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/sign-up")
    sign_up(page, "sid@example.com")
    page.route(
        "http://evil.example.com/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{site.url}/account/name">'
            '<input name="full_name" value="Eve"><button>Win a prize</button></form>',
        ),
    )
    page.goto("http://evil.example.com/")
    press(page, "Win a prize")
    expect(page.get_by_role("alert")).to_contain_text("not sent by a page of this site")
    page.goto("/account")
    expect(page.get_by_role("main")).not_to_contain_text("Eve")


def test_documentation_needs_no_other_host(open_page: Callable[..., Page]) -> None:
    page = open_page("about:blank")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/docs")
    expect(page.get_by_text("/api/v1/users/me/password")).to_be_visible()
    page.get_by_text("/readyz").first.click()
    press(page, "Try it out")
    press(page, "Execute")
    expect(page.get_by_text("Response headers").first).to_be_visible()
    take_picture(page, "docs")
    hosts = {urlsplit(address).hostname for address in addresses}
    assert hosts - {None} == {"localhost"}
