"""Limits on a service of two processes, over real sockets."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from httpx2 import AsyncClient, Limits, Response
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.factories import PASSWORD, make_account
from tests.servers import running_app

API = "/api/v1/auth"


@pytest.fixture
def url(empty_database: URL) -> Iterator[str]:
    """Where the service is; this machine is its proxy, so that tests can come from anywhere."""
    database = libpq_uri(empty_database)
    with running_app(
        "--workers", "2", DATABASE_URL=database, TRUSTED_PROXIES="127.0.0.1"
    ) as server:
        yield server.url


class Attacker:
    """Every request is a connection of its own, which either process may accept."""

    def __init__(self, url: str) -> None:
        self._client = AsyncClient(
            base_url=url, timeout=60, limits=Limits(max_keepalive_connections=0)
        )

    async def log_in(self, email: str, password: str, forwarded_for: str) -> Response:
        form = {"username": email, "password": password}
        headers = {"X-Forwarded-For": forwarded_for}
        return await self._client.post(f"{API}/login", data=form, headers=headers)

    async def guess(self, *emails: str, network: str) -> Counter[int]:
        """Try one password on all the accounts at once, each time with another forged header."""
        tries = (
            self.log_in(email, "wrong", f"198.51.100.{number}, {network}")
            for number, email in enumerate(emails)
        )
        answers = await asyncio.gather(*tries)
        for answer in answers:
            assert (answer.status_code == 429) == ("retry-after" in answer.headers)
        return Counter(answer.status_code for answer in answers)

    async def sign_up(self, email: str) -> None:
        answer = await self._client.post(f"{API}/signup", json=make_account(email))
        assert answer.status_code == 201, answer.text


async def test_asvs_2_4_1_limits_are_those_of_all_processes(url: str) -> None:
    home, away = "203.0.113.1", "203.0.113.2"
    attacker = Attacker(url)
    await attacker.sign_up("ada@example.com")
    assert (await attacker.log_in("ada@example.com", PASSWORD, home)).status_code == 200

    for email in ("ada@example.com", "nobody@example.com"):
        guesses = await attacker.guess(*[email] * 30, network="192.0.2.1")
        assert guesses.keys() == {401, 429}
        assert guesses[401] in {5, 6}  # and one more if it took a minute
    for network in range(2, 6):
        await attacker.guess(*["ada@example.com"] * 10, network=f"192.0.2.{network}")
    assert (await attacker.log_in("ada@example.com", PASSWORD, away)).status_code == 429
    assert (await attacker.log_in("ada@example.com", PASSWORD, home)).status_code == 200

    emails = (f"user{number}@example.com" for number in range(80))
    guesses = await attacker.guess(*emails, network="192.0.2.99")
    assert guesses.keys() == {401, 429}
    assert 50 <= guesses[401] <= 60  # and one more for every 3 seconds that it took
