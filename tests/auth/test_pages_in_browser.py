"""The pages as people use them: with JavaScript and without, by keyboard, by screen reader."""

import re
from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from app.parts import NAME
from tests.auth.accounts import NEW_PASSWORD
from tests.auth.browsing import Site, open_page, site, wait_for
from tests.browsers import MISSING, find_browser
from tests.factories import PASSWORD

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

__all__ = ["open_page", "site"]  # fixtures


def send(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_role("button").click()


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_forgotten_password_is_reset_from_the_link_of_a_mail(
    site: Site, open_page: Callable[..., Page]
) -> None:
    account = site.sign_up()
    page = open_page("/forgot-password")
    page.get_by_label("E-mail address").fill(account.email)
    page.keyboard.press("Enter")
    expect_heading(page, "Look into your mail")
    page.goto(site.receive_link(account, "Set a new password"))
    send(page, "New password", NEW_PASSWORD)
    expect_heading(page, "Your password is set")
    assert site.read_me(account.access_token)["code"] == "invalid_token"
    assert site.log_in(account.email, PASSWORD) is None
    assert site.log_in(account.email, NEW_PASSWORD) is not None


def test_address_is_confirmed_by_the_link_of_a_mail(
    site: Site, open_page: Callable[..., Page]
) -> None:
    account = site.sign_up()
    page = open_page(site.receive_link(account, "Confirm your e-mail address"))
    assert site.read_me(account.access_token)["email_verified_at"] is None  # opened, and no more
    page.get_by_role("button", name="Confirm address").click()
    expect_heading(page, "Your address is confirmed")
    assert site.read_me(account.access_token)["code"] == "invalid_token"
    expect(page.get_by_label("Code from the mail")).to_be_hidden()
    send(page, "New password", NEW_PASSWORD)
    expect_heading(page, "Your password is set")
    access_token = site.log_in(account.email, NEW_PASSWORD)
    assert access_token is not None
    assert site.read_me(access_token)["email_verified_at"]


def test_asvs_14_2_1_no_log_has_the_token(site: Site, open_page: Callable[..., Page]) -> None:
    def count_lines() -> int:
        return site.server.printed.count("operation=pages-")

    before = count_lines()
    token = site.mint_token(site.sign_up())
    page = open_page(f"/set-password#token={token}")
    send(page, "New password", "too short")
    expect(page).to_have_title(re.compile("Error: "))
    send(page, "New password", NEW_PASSWORD)
    expect_heading(page, "Your password is set")
    wait_for(lambda: count_lines() >= before + 3 or None)
    assert token not in site.server.printed
    assert token[4:] not in site.server.printed


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
    expect(page).to_have_title(f"Error: Set a password | {NAME}")
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
    send(page, "New password", NEW_PASSWORD)
    expect(code).to_be_focused()
    expect(code).to_have_accessible_description(re.compile("This code is not valid"))
    code.fill(f" {site.mint_token(account)} ")
    send(page, "New password", NEW_PASSWORD)
    expect_heading(page, "Your password is set")


def test_address_is_confirmed_without_javascript(
    site: Site, open_page: Callable[..., Page]
) -> None:
    account = site.sign_up()
    link = site.receive_link(account, "Confirm your e-mail address")
    page = open_page(link, java_script_enabled=False)
    send(page, "Code from the mail", link.partition("=")[2])
    expect_heading(page, "Your address is confirmed")
    send(page, "New password", NEW_PASSWORD)
    expect_heading(page, "Your password is set")
    assert site.log_in(account.email, NEW_PASSWORD) is not None


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
        expect(page).to_have_title(f"Forgot your password? | {NAME}")
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
    check_page(page, "Set a password")
    page.get_by_label("Code from the mail").fill(token)
    send(page, "New password", "too short")
    check_page(page, "Error: Set a password")
    check_page(page, "Error: Set a password", "dark")
    send(page, "New password", NEW_PASSWORD)
    check_page(page, "Your password is set")
    page.goto("/confirm-email")
    send(page, "Code from the mail", token)
    check_page(page, "Error: Confirm your address")
    page.goto("/forgot-password")
    check_page(page, "Forgot your password?")
    send(page, "E-mail address", f"{'a' * 64}@{'b' * 63}.example.com")
    check_page(page, "Look into your mail")
    check_page(page, "Look into your mail", "dark")


def check_page(page: Page, title: str, scheme: Literal["light", "dark"] = "light") -> None:
    """Apply the rules of axe-core, contrast included; and there is nothing to scroll sideways."""
    expect(page).to_have_title(f"{title} | {NAME}")
    page.emulate_media(color_scheme=scheme)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
