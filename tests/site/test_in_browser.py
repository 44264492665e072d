"""The pages in a real Chromium, as a person, an administrator, and axe-core see them."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from pyotp import TOTP
from sqlalchemy import URL

from app.database.url import libpq_uri
from app.parts import NAME
from tests.browsers import MISSING, find_browser, running_browser
from tests.factories import PASSWORD, make_account
from tests.servers import ROOT, find_free_port, running_app
from tools import demo

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

PICTURES = ROOT / "screenshots"
NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1280, "height": 800}
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Site(NamedTuple):
    url: str
    browser: Browser
    password: str  # of the administrator


@pytest.fixture(scope="module")
def site(create_database: Callable[[], URL]) -> Iterator[Site]:
    expect.set_options(timeout=30_000)
    database, port = libpq_uri(create_database()), str(find_free_port())
    url = f"http://localhost:{port}"
    with pytest.MonkeyPatch.context() as environment, running_browser() as browser:
        environment.setenv("DATABASE_URL", database)
        environment.setenv("PASSWORD_HASH_MEMORY", "8")
        with running_app("--port", port, DATABASE_URL=database, PUBLIC_URL=url):
            yield Site(url, browser, demo.fill(url, database))


@pytest.fixture
def open_page(site: Site) -> Iterator[Callable[..., Page]]:
    """Open the site as a new visitor; no script may fail, and nothing violate the policy."""
    contexts, complaints = [], []

    def listen(message: ConsoleMessage) -> None:
        expected = ("Failed to load resource", "Clear-Site-Data")  # an answer 4xx, and a sign-out
        if not message.text.startswith(expected):
            complaints.append(message.text)

    def open_page(path: str, **options: Any) -> Page:
        context = site.browser.new_context(base_url=site.url, **{"viewport": WIDE} | options)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def look(page: Page, heading: str, picture: str) -> None:
    """Apply the rules of axe-core in light and dark; nothing is to be scrolled sideways."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page)
        assert results.violations_count == 0, (picture, results.generate_report())
        for width in (NARROW["width"], page.viewport_size["width"] if page.viewport_size else 0):
            page.set_viewport_size({"width": width, "height": 800})
            sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert sideways <= 0, (picture, width, sideways)
            take_picture(page, f"{picture}-{scheme}-{width}")
    page.emulate_media(color_scheme="light")


def take_picture(page: Page, name: str) -> None:
    """Keep what the page looks like, where SCREENSHOTS says so: a hundred take a while."""
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def sign_up(page: Page, email: str, password: str = PASSWORD) -> None:
    page.locator("[name=email]").fill(email)
    page.locator("[name=password]").fill(password)
    fill_in_the_rest(page)
    page.get_by_role("main").get_by_role("button").last.click()


def fill_in_the_rest(page: Page) -> None:
    """Give what else sign-up requires, in a project with a field more, some value."""
    for name, value in make_account().items():
        field = page.locator(f"[name={name}]")
        if not field.input_value():
            field.fill(str(value))


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Sign in")


def add_authenticator(page: Page) -> Callable[[], Any]:
    """Give the browser what holds passkeys, and return what takes it away."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return lambda: devtools.send("WebAuthn.disable")


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


def test_administrator_looks_at_everything(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/admin/users", viewport=WIDE)
    sign_in(page, demo.ADMINISTRATOR, site.password)
    look(page, "Users", "users")
    page.get_by_label("Name or address").fill("Grace")
    press(page, "Search")
    look(page, "Users", "users-found")
    page.get_by_role("link", name=re.compile("grace-")).click()
    expect(page).to_have_url(re.compile("/admin/users/[0-9a-f-]{36}$"))
    look(page, page.get_by_role("heading", level=1).inner_text(), "user")
    page.get_by_role("link", name="Deactivate").click()
    look(page, "Deactivate this account?", "deactivate")
    press(page, "Deactivate")
    expect(page.get_by_role("status")).to_contain_text("The account is deactivated")
    for name in ("Events", "Mail", "Service"):
        page.get_by_role("link", name=name, exact=True).click()
        look(page, name, f"admin-{name.lower()}")
    page.goto("/admin/users/new")
    look(page, "Invite a user", "invite")
    page.goto(f"/admin/users/{'0' * 32}")
    look(page, "Not found", "not-found")


def test_administrator_makes_a_role_and_gives_it(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin")
    sign_in(page, demo.ADMINISTRATOR, site.password)
    page.get_by_role("link", name="Roles").click()
    look(page, "Roles", "roles")
    page.get_by_role("link", name="Add a role").click()
    look(page, "Add a role", "role-new")
    page.get_by_label("Name").fill("Support")
    press(page, "Add")
    look(page, "Add a role", "role-taken")
    page.get_by_label("Name").fill("Readers")
    page.get_by_label("users:read").check()
    press(page, "Add")
    look(page, "Readers", "role")
    page.goto("/admin/users?search=gana")
    page.get_by_role("link", name=re.compile("gana-")).click()
    page.get_by_label("Another role").select_option("Readers")
    press(page, "Give")
    expect(page.get_by_role("status")).to_have_text("The user has the role now.")
    look(page, page.get_by_role("heading", level=1).inner_text(), "user-with-roles")
    page.get_by_role("link", name="Readers", exact=True).click()
    page.get_by_role("link", name="See the users").click()
    look(page, "Users", "users-by-role")
    page.get_by_role("link", name=re.compile("gana-")).click()
    page.get_by_role("link", name="Take away: Readers").click()
    look(page, "Take this role away?", "role-taking")
    press(page, "Take the role")
    expect(page.get_by_role("status")).to_have_text("The user no longer has the role.")


def test_holder_of_a_role_sees_what_it_permits(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/admin/users?search=ada-")
    sign_in(page, demo.ADMINISTRATOR, site.password)
    email = page.get_by_role("link", name=re.compile("ada-")).inner_text()
    press(page, "Sign out")
    page.goto("/sign-in")
    sign_in(page, email, site.password)
    look(page, "Your account", "account-of-support")
    page.get_by_role("link", name="Go there").click()
    look(page, "Users", "users-of-support")
    page.get_by_role("link", name=email).click()
    look(page, email, "user-of-support")
    page.get_by_role("link", name="Roles").click()
    page.get_by_role("link", name="Support").click()
    look(page, "Support", "role-of-support")
    page.goto("/admin/users/new")
    look(page, "Not allowed", "not-allowed")


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


def test_administration_works_without_javascript(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin/users", java_script_enabled=False, viewport=NARROW)
    sign_in(page, demo.ADMINISTRATOR, site.password)
    page.get_by_label("Name or address").fill("wolfe")
    page.get_by_label("Show").select_option("Not confirmed")
    press(page, "Search")
    page.get_by_role("link", name=re.compile("wolfe-")).click()
    page.get_by_role("link", name="Deactivate").click()
    press(page, "Deactivate")
    expect(page.get_by_role("status")).to_contain_text("The account is deactivated")
    page.get_by_role("link", name="Activate").click()
    press(page, "Activate")
    expect(page.get_by_role("status")).to_have_text("The account is active again.")
    page.get_by_role("link", name="Mail", exact=True).click()
    press(page, "Try now: Password reset")
    expect(page.get_by_role("status")).to_have_text("The mail is tried again at once.")


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus, and see that it shows."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    outline = wanted.evaluate("each => getComputedStyle(each).outlineStyle")
    assert outline == "solid"


def test_administrator_looks_after_a_user_by_keyboard_alone(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin/users")
    page.keyboard.type(demo.ADMINISTRATOR)
    page.keyboard.press("Tab")
    page.keyboard.type(site.password)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Name or address"))
    page.keyboard.type("bobby")
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name=re.compile("bobby-")))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Activate"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Activate"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The account is active again.")
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)


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
