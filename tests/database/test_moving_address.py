"""An address that leads to a standby for a while, and servers that fall silent."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from alembic import command
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.main import create_app
from app.settings import Settings
from tests.conftest import new_client
from tests.databases import alembic_config
from tests.factories import make_user, sign_in
from tests.faults.cluster import Cluster, Node
from tests.faults.network import Loopback
from tests.faults.scene import temporary_folder
from tests.problems import read_problem

ITEMS = "/api/v1/items"
NEW = {"title": "New"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A primary and a standby that shows a commit as soon as it is acknowledged."""
    with temporary_folder() as folder, Cluster(Loopback(), folder).running() as cluster:
        cluster.primary.query("ALTER DATABASE app SET synchronous_commit = remote_apply")
        url = make_url(find_url(cluster.primary)).set(drivername="postgresql+psycopg")
        command.upgrade(alembic_config(url), "head")
        yield cluster


def find_url(node: Node, *before: int) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in (*before, node.host.port))
    return f"postgresql://postgres@{hosts}/app"


class Forwarder:
    """An address that leads to a server. Its connections stay where they were made."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.port = 0
        self._speaking = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

    def fall_silent(self) -> None:
        """Take connections and bytes from now on, and answer nothing."""
        self._speaking.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Forwarder"]:
        self._speaking.set()
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self
            self._speaking.set()
            await asyncio.gather(*self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.create_task(self._forward(reader, writer)))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.node.host.port)
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self._speaking.wait()
                target.write(data)
        target.close()
        with suppress(ConnectionError):
            await target.wait_closed()


@pytest.fixture
async def forwarder(cluster: Cluster) -> AsyncIterator[Forwarder]:
    async with Forwarder(cluster.primary).running() as forwarder:
        yield forwarder


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[tuple[AsyncClient, Database]]:
    settings = Settings(_env_file=None, database_url=SecretStr(url), mail_worker=False)
    app = create_app(settings)
    async with app.router.lifespan_context(app), new_client(app) as client:
        yield client, app.state.database


async def sign_in_as_new(client: AsyncClient, cluster: Cluster) -> None:
    engine = create_async_engine(
        make_url(find_url(cluster.primary)).set(drivername="postgresql+psycopg")
    )
    async with AsyncSession(engine, expire_on_commit=False) as session:
        await sign_in(client, session, await make_user(session))
    await engine.dispose()


# `any` as if the server had become a standby only behind the connection, as behind a pooler.
@pytest.mark.parametrize("options", ["", "?target_session_attrs=any"])
async def test_address_that_moves_from_a_standby_is_followed_at_once(
    cluster: Cluster, forwarder: Forwarder, options: str
) -> None:
    forwarder.node = cluster.standby
    url = f"postgresql://postgres@127.0.0.1:{forwarder.port}/app{options}"
    async with serving(url) as (client, _):
        await sign_in_as_new(client, cluster)
        code = "read_only_database" if options else "unavailable"
        read_problem(await client.get("/readyz"), 503, code)
        for _ in range(3):
            read_problem(await client.post(ITEMS, json=NEW), 503, "unavailable")
        forwarder.node = cluster.primary
        assert [(await client.post(ITEMS, json=NEW)).status_code for _ in range(5)] == [201] * 5
        assert (await client.get("/readyz")).status_code == 200


async def test_readiness_looks_for_another_connection_than_to_a_standby(
    cluster: Cluster, forwarder: Forwarder
) -> None:
    forwarder.node = cluster.standby
    url = f"postgresql://postgres@127.0.0.1:{forwarder.port}/app?target_session_attrs=any"
    async with serving(url) as (client, _):
        read_problem(await client.get("/readyz"), 503, "read_only_database")
        forwarder.node = cluster.primary
        assert (await client.get("/readyz")).status_code == 200


async def test_server_that_falls_silent_is_left_for_the_next(
    cluster: Cluster, forwarder: Forwarder
) -> None:
    url = find_url(cluster.primary, forwarder.port)
    async with serving(url) as (client, database):
        await sign_in_as_new(client, cluster)
        assert (await client.post(ITEMS, json=NEW)).status_code == 201
        forwarder.fall_silent()
        database.request_timeout = 0.3
        read_problem(await client.post(ITEMS, json=NEW), 503, "unavailable")
        database.request_timeout = 10
        assert (await client.post(ITEMS, json=NEW)).status_code == 201
