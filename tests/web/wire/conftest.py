"""A server process, a user who has signed up, and connections."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx2
import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.factories import PASSWORD, make_account
from tests.servers import Server, find_free_port, running_app
from tests.web.wire.connections import API, Connect, Connection


@pytest.fixture(scope="package")
def database(create_database: Callable[[], URL]) -> str:
    return libpq_uri(create_database())


@pytest.fixture(scope="package")
def metrics_port() -> int:
    return find_free_port()


@pytest.fixture(scope="package")
def server(database: str, metrics_port: int) -> Iterator[Server]:
    with running_app(
        DATABASE_URL=database, DATABASE_POOL_SIZE="5", METRICS_PORT=str(metrics_port)
    ) as server:
        yield server


@pytest.fixture(scope="package")
def token(server: Server) -> str:
    """Of a user who has signed up."""
    with httpx2.Client(base_url=server.url) as client:
        assert client.post(f"{API}/auth/signup", json=make_account()).status_code == 201
        form = {"username": "ada@example.com", "password": PASSWORD}
        answer = client.post(f"{API}/auth/login", data=form)
    access_token: str = answer.json()["access_token"]
    return access_token


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Open connections that are closed after the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(Connection(server)))
