"""A PostgreSQL server for the whole run, empty databases, and the service on a migrated one."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from app.embedded import running_server

_server = ExitStack()
_SERVER_URL = "TEST_SERVER_URL"


def pytest_configure(config: pytest.Config) -> None:
    """Start one server for all xdist workers, unless DATABASE_URL names one."""
    given = os.environ.pop("DATABASE_URL", None)
    if hasattr(config, "workerinput") or _SERVER_URL in os.environ:
        return
    if given is None:
        folder = Path(tempfile.mkdtemp(prefix="tests-"))
        _server.callback(shutil.rmtree, folder, ignore_errors=True)
        # The data dies with the run, so nothing need reach the disk.
        durability = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
        settings = (*durability, "max_connections=300")
        given = _server.enter_context(running_server(folder, *settings)).render_as_string(
            hide_password=False
        )
    os.environ[_SERVER_URL] = given
    _server.callback(os.environ.pop, _SERVER_URL)


def pytest_unconfigure() -> None:
    _server.close()


@pytest.fixture(scope="session")
def server_url() -> URL:
    return make_url(os.environ[_SERVER_URL]).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="session")
def create_database(server_url: URL) -> Iterator[Callable[[], URL]]:
    """Create databases of the run's own, dropped when it ends."""
    conninfo = server_url.set(drivername="postgresql", database="postgres").render_as_string(
        hide_password=False
    )
    names: list[str] = []

    def execute(statement: str) -> None:
        with psycopg.connect(conninfo.replace("+", "%20"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(names[-1])))

    def create() -> URL:
        names.append(f"test_{uuid4().hex}")
        execute("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        return server_url.set(database=names[-1])

    yield create
    while names:
        execute("DROP DATABASE {} WITH (FORCE)")
        names.pop()


@pytest.fixture
def empty_database(create_database: Callable[[], URL]) -> URL:
    """The URL of a new database with no table in it."""
    return create_database()
