"""A real browser, where the machine has one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Error, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_MISSING = (
    "THE PAGES WERE NOT TRIED IN A BROWSER: there is no Chromium or Chrome here. Install one"
    " (`apt install chromium`, `playwright install chromium`), or name it in CHROMIUM."
)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a browser until the block ends; skip the test where there is none."""
    with sync_playwright() as playwright:
        path = _find_browser(playwright.chromium)
        if path is None:
            pytest.skip(_MISSING)
        with _launch(playwright.chromium, path) as browser:
            yield browser


def _find_browser(chromium: BrowserType) -> str | None:
    paths = [os.environ.get("CHROMIUM"), *map(shutil.which, _NAMES)]
    paths += [path for path in (_ON_MACOS, chromium.executable_path) if Path(path).exists()]
    return next(filter(None, paths), None)


def _launch(chromium: BrowserType, path: str) -> Browser:
    """Start it in its sandbox, where the machine allows that; to root and in containers few do."""
    if os.geteuid() != 0:
        try:
            return chromium.launch(executable_path=path, chromium_sandbox=True)
        except Error:
            pass
    return chromium.launch(executable_path=path)
