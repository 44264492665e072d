"""A real browser, where the machine has one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, Error, sync_playwright

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
