"""The service with a browser before it, its mail and its database behind: for tests of pages."""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from secrets import token_urlsafe
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

import psycopg
import pytest
from anyio.from_thread import start_blocking_portal
from httpx2 import Client
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.browsers import running_browser, visiting
from tests.factories import PASSWORD, make_account
from tests.servers import Server, running_app
from tests.smtp_server import Catcher, read_text, running_smtp_server

T = TypeVar("T")
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
    mail: Catcher

    def sign_up(self) -> Account:
        email = f"user{next(_numbers)}@example.com"
        assert self.api.post("/auth/signup", json=make_account(email)).status_code == 201
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

    def receive_link(self, account: Account, subject: str) -> str:
        """Wait for a mail, and return what its link opens here."""

        def find_link() -> str | None:
            for mail in self.mail.messages:
                if (mail["To"], mail["Subject"]) == (account.email, subject):
                    link = re.search(r"https?://[^/]+(/\S+#token=\S+)", read_text(mail))
                    assert link is not None
                    return link[1]
            return None

        return wait_for(find_link)

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
    expect.set_options(timeout=30_000)
    with running_browser() as browser:
        database = libpq_uri(create_database())
        with (
            start_blocking_portal() as portal,  # the catcher's own event loop
            portal.wrap_async_context_manager(running_smtp_server()) as mail,
            running_app(DATABASE_URL=database, SMTP_URL=mail.url) as server,
            Client(base_url=f"{server.url}/api/v1") as api,
        ):
            yield Site(server, browser, database, api, mail)


@pytest.fixture
def open_page(site: Site) -> Iterator[Callable[..., Page]]:
    with visiting(site.browser, site.server.url) as open_page:
        yield open_page


def wait_for(find: Callable[[], T | None]) -> T:
    deadline = monotonic() + 30
    while (found := find()) is None:
        assert monotonic() < deadline
        sleep(0.05)
    return found
