"""A PostgreSQL server for the whole run, empty databases, and the service on a migrated one."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from inspect import signature
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import URL, make_url, text
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import State

from app.auth.rate_limit import RateLimits
from app.database.transactions import Database
from app.database.url import libpq_uri
from app.main import create_app
from app.observability.logging import configure_logging
from app.settings import Settings
from app.users.models import User
from app.web.health import Revisions
from tests import marbles
from tests.databases import (
    OneConnection,
    create_migrated,
    creating_databases,
    find_engine,
    require_create,
    running_test_server,
)
from tests.factories import HASHER, make_superuser, make_user, sign_in
from tests.servers import ROOT

_server = ExitStack()
_SERVER_URL = "TEST_SERVER_URL"


def pytest_configure(config: pytest.Config) -> None:
    """Start one server for all xdist workers, unless DATABASE_URL names one."""
    # A shell lets what runs in its background ignore Ctrl-C, and so would what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = os.environ.pop("DATABASE_URL", None)
    if hasattr(config, "workerinput") or _SERVER_URL in os.environ:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, to stop the server
    if given is None:
        given = _server.enter_context(running_test_server())
    else:
        require_create(make_url(given))
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
    with creating_databases(server_url) as create:
        yield create


@pytest.fixture(scope="session")
def migrated_database(create_database: Callable[[], URL]) -> URL:
    """The URL of a database built as production's is: by the revisions. Tests leave it empty."""
    return create_migrated(create_database)


@pytest.fixture
def empty_database(create_database: Callable[[], URL]) -> URL:
    """The URL of a new database with no table in it."""
    return create_database()


@pytest.fixture
async def database(migrated_database: URL) -> AsyncIterator[Database]:
    """A database on which no change outlives the test."""
    engine = find_engine(migrated_database)
    async with engine.connect() as connection, connection.begin() as transaction:
        yield OneConnection(connection)
        await transaction.rollback()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A session whose every change is undone after the test."""
    async with database.new_session() as session:
        yield session


@pytest.fixture(scope="session")
def shared_apps() -> dict[bool, tuple[FastAPI, dict[str, Any]]]:
    """The service without and with `tests.marbles`, and the state that each began with."""
    apps = {marbled: create_app(Settings(_env_file=None)) for marbled in (False, True)}
    apps[True].include_router(marbles.router)
    return {
        marbled: (app, {name: app.state[name] for name in app.state})
        for marbled, app in apps.items()
    }


@pytest.fixture
def app(
    request: pytest.FixtureRequest,
    database: Database,
    shared_apps: dict[bool, tuple[FastAPI, dict[str, Any]]],
) -> FastAPI:
    """The service on the test's own transaction, with a hasher that is fast rather than safe.

    A test that names it may change it, and is given one of its own. The others share: FastAPI works
    out its routes at the first request, which takes longer than most tests.
    """
    if "app" in signature(request.function).parameters:
        app = create_app(Settings(_env_file=None))
    else:
        app, state = shared_apps["_marbles" in request.fixturenames]
        app.state = State({**state})
        configure_logging(as_json=False, level="info")
    app.state.database = database
    app.state.limits = RateLimits(database)
    app.state.hasher = HASHER
    app.state.revisions = Revisions.read(ROOT / "migration")
    return app


@pytest.fixture
def _marbles(request: pytest.FixtureRequest, app: FastAPI) -> None:
    """Give the service the routes of `tests.marbles`."""
    if "app" in signature(request.function).parameters:
        app.include_router(marbles.router)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """An anonymous HTTP client; `sign_in(client, user)` makes it another's."""
    async with new_client(app) as client:
        yield client


@pytest.fixture
async def user(session: AsyncSession) -> User:
    """Somebody with an account, and no rights beyond it."""
    return await make_user(session)


@pytest.fixture
async def user_client(
    app: FastAPI, session: AsyncSession, user: User
) -> AsyncIterator[AsyncClient]:
    """A client that is signed in as `user`."""
    async with new_client(app) as client:
        await sign_in(client, session, user)
        yield client


@pytest.fixture
async def superuser(session: AsyncSession) -> User:
    """Somebody who may do everything."""
    return await make_superuser(session)


@pytest.fixture
async def superuser_client(
    app: FastAPI, session: AsyncSession, superuser: User
) -> AsyncIterator[AsyncClient]:
    """A client that is signed in as `superuser`."""
    async with new_client(app) as client:
        await sign_in(client, session, superuser)
        yield client


@pytest.fixture(scope="session")
def live_database(create_database: Callable[[], URL]) -> URL:
    """The URL of a migrated database for tests that commit. They find it empty."""
    return create_migrated(create_database)


@pytest.fixture(scope="session", autouse=True)
def _no_other_database(live_database: URL) -> Iterator[None]:
    """Let `TestClient(create_app())` write there too, never into the development database."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", libpq_uri(live_database))
        yield


@pytest.fixture
async def live_app(live_database: URL) -> AsyncIterator[FastAPI]:
    """The service as it runs: a pool of connections, and transactions that are committed."""
    url = live_database.render_as_string(hide_password=False)
    settings = Settings(
        _env_file=None, database_url=SecretStr(url), password_hash_memory=8, mail_worker=False
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app
        async with app.state.database.engine.begin() as connection:
            await connection.execute(text('TRUNCATE "user", rate_limit, outbox CASCADE'))


@pytest.fixture
def _live_marbles(live_app: FastAPI) -> None:
    """Give the live service the routes of `tests.marbles`."""
    live_app.include_router(marbles.router)


@pytest.fixture
async def live_session(live_app: FastAPI) -> AsyncIterator[AsyncSession]:
    """A session on the live application's database; its commits are real."""
    async with live_app.state.database.new_session() as session:
        yield session


@pytest.fixture
async def live_client(live_app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with new_client(live_app) as client:
        yield client


def new_client(app: FastAPI, address: str = "127.0.0.1") -> AsyncClient:
    """Make a client that sees a 500 answer, as the network would, instead of the exception."""
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
    return AsyncClient(transport=transport, base_url="http://test")
