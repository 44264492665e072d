"""Try the TypeScript client in Node and in a browser, on a real service: `make client-check`."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Error

from app.database.embedded import running_server
from app.database.url import libpq_uri
from tests.browsers import find_browser, running_browser
from tests.servers import ROOT, running_app

_FOLDER = ROOT / "client"
_IN_NODE = """
import { check } from "./build/check.js";
console.log(await check(...process.argv.slice(1)));
"""
_IN_BROWSER = "given => import('/build/check.js').then(({ check }) => check(...given))"


class CheckError(Exception):
    """The client does not do what it should; the message says what it did."""


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Build the client, and let it talk to a service on a database of its own."""
    if missing := [name for name in ("npm", "node") if shutil.which(name) is None]:
        print(f"skipped: there is no {missing[0]} here; install Node.js to try the client")
        return
    try:
        _run("make", "client", folder=ROOT)
        print("compiled strictly")
        with serving_files() as port, serving_api(f"http://127.0.0.1:{port}") as url:
            _check_in_node(url)
            _check_in_browser(url, port)
    except CheckError as error:
        sys.exit(f"FAILED: {error}")


@contextmanager
def serving_files() -> Iterator[int]:
    """Serve the client's folder until the block ends, on the port that is yielded."""
    handler = partial(_Files, directory=str(_FOLDER))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def serving_api(origin: str) -> Iterator[str]:
    """Run the service, for pages of `origin` too, on a PostgreSQL that is thrown away."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), "fsync=off") as url,
        running_app(DATABASE_URL=libpq_uri(url), CORS_ORIGINS=origin) as server,
    ):
        yield server.url


def _check_in_node(url: str) -> None:
    done = _run("node", "--input-type=module", "-e", _IN_NODE, url, "node@example.com").strip()
    print(f"in Node: {done}")


def _check_in_browser(url: str, port: int) -> None:
    if not find_browser():
        print("in a browser: skipped: there is no Chromium or Chrome here")
        return
    with running_browser() as browser:
        done = _check_on_page(browser, f"http://127.0.0.1:{port}", url)
        if not done.startswith("signed up"):
            raise CheckError(f"in a page of another origin: {done}")
        print(f"in a page of another origin: {done}")
        done = _check_on_page(browser, f"http://localhost:{port}", url)
        if "Failed to fetch" not in done:
            raise CheckError(f"in a page of an origin that is not in CORS_ORIGINS: {done}")
        print("in a page of an origin that is not in CORS_ORIGINS: can read nothing")


def _check_on_page(browser: Browser, origin: str, url: str) -> str:
    """Return what the check says, or why it failed."""
    with browser.new_page() as page:
        page.goto(f"{origin}/check.html")
        try:
            return str(page.evaluate(_IN_BROWSER, [url, "browser@example.com"]))
        except Error as error:
            return error.message


def _run(*command: str, folder: Path = _FOLDER) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckError(f"{' '.join(command[:2])}:\n{done.stdout}{done.stderr}")
    return done.stdout


main()
