"""The site of the demonstration in a real Chromium, and what a person does and sees there."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.browsers import running_browser, visiting
from tests.factories import PASSWORD, make_account
from tests.servers import ROOT, find_free_port, running_app
from tools import demo

PICTURES = ROOT / "screenshots"
NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1280, "height": 800}


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
    """Open the site as a new visitor; a sign-out clears what the browser has kept, and says so."""
    with visiting(site.browser, site.url, "Clear-Site-Data", viewport=WIDE) as open_page:
        yield open_page


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


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus, and see that it shows."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    outline = wanted.evaluate("each => getComputedStyle(each).outlineStyle")
    assert outline == "solid"


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
