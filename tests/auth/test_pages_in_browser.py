"""The pages as people use them: with JavaScript and without, by keyboard, by screen reader."""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from secrets import token_urlsafe
from typing import Any, Literal, NamedTuple

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from httpx2 import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect
from sqlalchemy import URL

from app.database_url import libpq_uri
from tests.browsers import running_browser
from tests.factories import PASSWORD
from tests.servers import Server, running_app

NEW_PASSWORD = f"new {PASSWORD}"
_numbers = count(1)


class Account(NamedTuple):
    email: str
    access_token: str


class Site(NamedTuple):
    """The service with a browser before it, and the database behind."""

    server: Server
    browser: Browser
    database: str
    api: Client

    def sign_up(self) -> Account:
        email = f"user{next(_numbers)}@example.com"
        body = {"email": email, "password": PASSWORD}
        assert self.api.post("/auth/signup", json=body).status_code == 201
        answer = self.log_in(email, PASSWORD)
        assert answer is not None
        return Account(email, answer)

    def log_in(self, email: str, password: str) -> str | None:
        form = {"username": email, "password": password}
        token: str | None = self.api.post("/auth/login", data=form).json().get("access_token")
        return token

    def read_me(self, access_token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        me: dict[str, Any] = self.api.get("/users/me", headers=headers).json()
        return me

    def mint_token(self, account: Account, purpose: str = "password_reset") -> str:
        """Return the code that a mail would carry, without the mail."""
        token = f"uml_{token_urlsafe(32)}"
        with psycopg.connect(self.database) as connection:
            connection.execute(
                """
                INSERT INTO email_token (token_hash, user_id, purpose, email, expires_at)
                SELECT %s, id, %s, email, now() + interval '1 hour' FROM "user" WHERE email = %s
                ON CONFLICT (user_id, purpose) DO UPDATE SET token_hash = excluded.token_hash
                """,
                [sha256(token.encode()).digest(), purpose, account.email],
            )
        return token


@pytest.fixture(scope="module")
def site(create_database: Callable[[], URL]) -> Iterator[Site]:
    with running_browser() as browser:
        database = libpq_uri(create_database())
        with (
            running_app(DATABASE_URL=database, MAIL_WORKER="false") as server,
            Client(base_url=f"{server.url}/api/v1") as api,
        ):
            yield Site(server, browser, database, api)


@pytest.fixture
def open_page(site: Site) -> Iterator[Callable[..., Page]]:
    """Open pages of a new visitor; no script may fail, and nothing violate the policy."""
    contexts, complaints = [], []

    def listen(message: ConsoleMessage) -> None:
        if not message.text.startswith("Failed to load resource"):  # an answer 4xx, as is expected
            complaints.append(message.text)

    def open_page(path: str, **options: Any) -> Page:
        context = site.browser.new_context(base_url=site.server.url, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_token_goes_from_the_link_into_the_form_and_out_of_the_address_bar(
    site: Site, open_page: Callable[..., Page]
) -> None:
    token = site.mint_token(site.sign_up())
    page = open_page(f"/set-password#token={token}")
    assert page.url == f"{site.server.url}/set-password"
    expect(page.locator("[name=token]")).to_have_value(token)
    expect(page.get_by_label("Code from the mail")).to_be_hidden()
    page.evaluate("location.hash = '#token=uml_another'")  # the link of the next mail, in this tab
    expect(page.locator("[name=token]")).to_have_value("uml_another")
    assert page.url == f"{site.server.url}/set-password"
    assert token not in page.content()


def test_password_is_set_by_keyboard_alone(site: Site, open_page: Callable[..., Page]) -> None:
    account = site.sign_up()
    page = open_page(f"/set-password#token={site.mint_token(account)}")
    page.keyboard.press("Tab")
    page.keyboard.type("too short")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Error: Set a password | User service")
    password = page.get_by_label("New password")
    expect(password).to_be_focused()
    expect(password).to_have_value("")
    expect(password).to_have_accessible_description(re.compile("it needs at least 15 characters"))
    page.keyboard.type(NEW_PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_label("Show the password")).to_be_checked()
    expect(password).to_have_attribute("type", "text")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Set password")).to_be_focused()
    page.keyboard.press("Enter")
    expect_heading(page, "Your password is set")
    assert site.log_in(account.email, NEW_PASSWORD)
    assert site.read_me(account.access_token)["code"] == "invalid_token"


@pytest.mark.parametrize("javascript", [True, False])
def test_code_is_pasted_where_the_link_does_not_fill_it_in(
    site: Site,
    open_page: Callable[..., Page],
    javascript: bool,  # noqa: FBT001  # pytest's own
) -> None:
    account = site.sign_up()
    link = f"/set-password#token={site.mint_token(account)}" if not javascript else "/set-password"
    page = open_page(link, java_script_enabled=javascript)
    code = page.get_by_label("Code from the mail")
    code.fill("uml_wrong")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button").click()
    expect(code).to_be_focused()
    expect(code).to_have_accessible_description(re.compile("This code is not valid"))
    code.fill(f" {site.mint_token(account)} ")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button").click()
    expect_heading(page, "Your password is set")


@pytest.mark.parametrize("javascript", [True, False])
def test_address_is_confirmed(
    site: Site,
    open_page: Callable[..., Page],
    javascript: bool,  # noqa: FBT001  # pytest's own
) -> None:
    account = site.sign_up()
    token = site.mint_token(account, "email_verification")
    page = open_page(f"/confirm-email#token={token}", java_script_enabled=javascript)
    if not javascript:
        page.get_by_label("Code from the mail").fill(token)
    assert site.read_me(account.access_token)["email_verified_at"] is None  # not by opening it
    page.get_by_role("button", name="Confirm address").click()
    expect_heading(page, "Your address is confirmed")
    assert site.read_me(account.access_token)["email_verified_at"]


def test_second_click_of_a_double_click_sends_nothing(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/set-password#token={site.mint_token(site.sign_up())}")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    prevented = page.evaluate("""() => {
        const prevented = [];
        document.addEventListener("submit", (event) => {
            prevented.push(event.defaultPrevented);
            event.preventDefault();
        });
        for (const click of [1, 2]) document.querySelector("button").click();
        return prevented;
    }""")
    assert prevented == [False, True]


def test_asvs_3_4_3_injected_script_does_not_run(site: Site) -> None:
    violations: list[str] = []

    def inject(route: Route) -> None:
        answer = route.fetch()
        injected = "<script>document.title = 'taken over'</script><img src=/x onerror=alert(1)>"
        route.fulfill(response=answer, body=answer.text().replace("<h1>", f"{injected}<h1>"))

    context = site.browser.new_context(base_url=site.server.url)
    with context.new_page() as page:
        page.on("console", lambda message: violations.append(message.text))
        page.route("**/forgot-password", inject)
        page.goto("/forgot-password")
        expect(page).to_have_title("Forgot your password? | User service")
    context.close()
    assert len(violations) >= 2
    assert all("Content Security Policy" in violation for violation in violations)


def test_asvs_3_5_3_form_of_another_site_is_refused(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("about:blank")
    page.set_content(
        f'<form method="post" action="{site.server.url}/forgot-password">'
        '<input name="email" value="ada@example.com"><button>Win a prize</button></form>'
    )
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("sent from another site"))
    expect(page.get_by_role("alert")).to_be_focused()


def test_pages_are_accessible(site: Site, open_page: Callable[..., Page]) -> None:
    token = site.mint_token(site.sign_up())
    page = open_page("/set-password", viewport={"width": 320, "height": 640})
    check_page(page)
    page.goto("/set-password")
    page.get_by_label("Code from the mail").fill(token)
    page.get_by_label("New password").fill("too short")
    page.get_by_role("button").click()
    check_page(page)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button").click()
    expect_heading(page, "Your password is set")
    check_page(page)
    page.goto("/confirm-email")
    page.get_by_label("Code from the mail").fill(token)
    page.get_by_role("button").click()
    check_page(page)
    page.goto("/forgot-password")
    check_page(page)
    page.get_by_label("E-mail address").fill(f"{'a' * 64}@{'b' * 63}.example.com")
    page.get_by_role("button").click()
    expect_heading(page, "Look into your mail")
    check_page(page)


def check_page(page: Page) -> None:
    """Apply the rules of axe-core, contrast included, in the light and in the dark."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
