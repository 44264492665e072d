"""A real browser, where the machine has one."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Error, Page, sync_playwright

MISSING = (
    "THE PAGES WERE NOT TRIED IN A BROWSER: there is no Chromium or Chrome here. Install one"
    " (`apt install chromium`, `playwright install chromium`), or name it in CHROMIUM."
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


@cache
def find_browser() -> str | None:
    """Return the path of a Chromium or Chrome: the machine's own, or Playwright's."""
    named = filter(None, [os.environ.get("CHROMIUM"), *map(shutil.which, _NAMES)])
    if path := next(named, None):
        return path
    with sync_playwright() as playwright:
        installed = (_ON_MACOS, playwright.chromium.executable_path)
    return next((path for path in installed if Path(path).exists()), None)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a browser until the block ends."""
    path = find_browser()
    assert path, MISSING
    with sync_playwright() as playwright, _launch(playwright.chromium, path) as browser:
        yield browser


def _launch(chromium: BrowserType, path: str) -> Browser:
    """Start it in its sandbox, where the machine allows that; to root and in containers few do."""
    if os.geteuid() != 0:
        try:
            return chromium.launch(executable_path=path, chromium_sandbox=True)
        except Error:
            pass
    return chromium.launch(executable_path=path)


@contextmanager
def visiting(
    browser: Browser, url: str, *expected: str, **usual: Any
) -> Iterator[Callable[..., Page]]:
    """Open pages of new visitors; no script may fail, and nothing violate the policy.

    The browser itself says some things that are `expected`, such as of an answer 4xx.
    """
    contexts, complaints = [], []

    def listen(message: ConsoleMessage) -> None:
        if not message.text.startswith(("Failed to load resource", *expected)):
            complaints.append(message.text)

    def open_page(path: str, **options: Any) -> Page:
        context = browser.new_context(base_url=url, **usual | options)
        contexts.append(context)
        context.set_default_timeout(30_000)  # a machine may be busy with other tests
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
