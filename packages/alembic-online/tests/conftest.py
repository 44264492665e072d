"""A PostgreSQL server for the whole run, and empty databases on it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
import sqlalchemy as sa

from server import running_server

_server = ExitStack()
_SERVER_URL = "TEST_SERVER_URL"


@pytest.hookimpl(trylast=True)  # another suite of the same run may bring a server
def pytest_configure(config: pytest.Config) -> None:
    """Start one server for all xdist workers, unless TEST_SERVER_URL names one."""
    if hasattr(config, "workerinput") or _SERVER_URL in os.environ:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, to stop the server
    os.environ[_SERVER_URL] = _server.enter_context(running_server())
    _server.callback(os.environ.pop, _SERVER_URL)


def pytest_unconfigure() -> None:
    _server.close()


@pytest.fixture(scope="session")
def server_url() -> sa.URL:
    return sa.make_url(os.environ[_SERVER_URL]).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="session")
def server(server_url: sa.URL) -> Iterator[sa.Connection]:
    """A connection beside those of the tests, for what is no transaction."""
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def _needs_postgresql_18(server: sa.Connection) -> None:
    """Skip a test of what older servers do not have."""
    if (server.dialect.server_version_info or ()) < (18,):
        pytest.skip("PostgreSQL 18 is the first to have this")


@pytest.fixture(scope="session")
def create_database(server_url: sa.URL, server: sa.Connection) -> Iterator[Callable[[], sa.URL]]:
    """Create databases of the run's own, dropped when it ends."""
    names: list[str] = []

    def create() -> sa.URL:
        names.append(f"test_{uuid4().hex}")
        server.exec_driver_sql(f"CREATE DATABASE {names[-1]} TEMPLATE template0 ENCODING 'UTF8'")
        return server_url.set(database=names[-1])

    yield create
    while names:
        server.exec_driver_sql(f"DROP DATABASE {names[-1]} WITH (FORCE)")
        names.pop()


@pytest.fixture(scope="session")
def reused_database(create_database: Callable[[], sa.URL]) -> sa.URL:
    """One database for the many tests here: to make one takes longer than most of them."""
    return create_database()


@pytest.fixture
def empty_database(reused_database: sa.URL) -> sa.URL:
    """The URL of a database with nothing in it."""
    with sa.create_engine(reused_database, poolclass=sa.NullPool).begin() as connection:
        for schema in sa.inspect(connection).get_schema_names():
            if schema != "information_schema":
                connection.execute(sa.schema.DropSchema(schema, cascade=True))
        connection.execute(sa.schema.CreateSchema("public"))
    return reused_database
