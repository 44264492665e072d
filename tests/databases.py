"""The server of a run of the tests, and the databases that they make on it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL, NullPool
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    async_sessionmaker,
    create_async_engine,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.embedded import running_server
from app.database.transactions import Database
from app.database.url import libpq_uri
from tests import marbles
from tests.servers import ROOT


@contextmanager
def running_test_server() -> Iterator[str]:
    """Run a server until the block ends, and give its URL."""
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    # The data dies with the run, so nothing need reach the disk.
    durability = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
    try:
        with running_server(folder, *durability, "max_connections=300") as url:
            yield url.render_as_string(hide_password=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_create(url: URL) -> None:
    """End the run before it begins for a role that may make no databases."""
    with psycopg.connect(libpq_uri(url.set(database="postgres"))) as connection:
        user = connection.info.user
        query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = %s"
        if connection.execute(query, [user]).fetchone() != (True,):
            raise pytest.UsageError(
                f"the tests make databases, which {user} may not: ALTER ROLE {user} CREATEDB"
            )


@contextmanager
def creating_databases(server_url: URL) -> Iterator[Callable[[], URL]]:
    """Give what creates databases; they are dropped when the block ends."""
    conninfo = libpq_uri(server_url.set(database="postgres"))
    names: list[str] = []

    def execute(statement: str) -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(names[-1])))

    def create() -> URL:
        names.append(f"test_{uuid4().hex}")
        execute("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        url = server_url.set(database=names[-1])
        run_file("TEST_DATABASE_SETUP", url)
        return url

    yield create
    while names:
        execute("DROP DATABASE {} WITH (FORCE)")
        names.pop()


def run_file(variable: str, url: URL) -> None:
    """Run the SQL file that the environment names, if it does: extensions, or another shape."""
    if path := os.environ.get(variable):
        with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
            for statement in Path(path).read_text("utf-8").split(";\n"):
                connection.execute(statement.encode())


def create_migrated(create_database: Callable[[], URL]) -> URL:
    """Create a database of the revisions' tables and of the tests' own."""
    url = create_database()
    command.upgrade(alembic_config(url), "head")
    run_file("TEST_DATABASE_SHAPE", url)
    marbles.create_tables(url)
    return url


def alembic_config(url: URL) -> Config:
    """Make Alembic's commands work on this database."""
    config = Config()  # without alembic.ini, which would set up logging anew
    config.set_main_option("script_location", str(ROOT / "migration").replace("%", "%%"))
    text = url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
    return config


class OneConnection(Database):
    """A database whose sessions share a connection, and are savepoints of its transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.request_timeout = 10
        self.engine = self.autocommit = self.reading = connection  # type: ignore[assignment]  # can what is needed
        self.new_session = async_sessionmaker(
            connection,
            class_=AsyncSession,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
        )

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return nullcontext(self._connection)

    @property
    def connections_in_use(self) -> int:
        return 1


@cache
def find_engine(url: URL) -> AsyncEngine:
    """One for all tests, as it compiles each statement once; each has a connection of its own."""
    return create_async_engine(url, poolclass=NullPool)
