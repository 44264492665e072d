"""WebSockets, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from pydantic import SecretStr
from sqlalchemy import URL, text
from sqlmodel.ext.asyncio.session import AsyncSession
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.main import create_app
from app.settings import Settings
from app.web.errors import NotFound, Unavailable
from app.web.protocol import Connection
from app.web.session import SessionDep
from tests.factories import make_user
from tests.marbles import Marble
from tests.web.ordinary_code.working import count_marbles

pytestmark = pytest.mark.usefixtures("_live_marbles")


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve on a free port until the block ends, and return the address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Connection, log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}/work"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def app(live_database: URL) -> FastAPI:
    url = live_database.render_as_string(hide_password=False)
    return create_app(Settings(_env_file=None, database_url=SecretStr(url), mail_worker=False))


async def test_websocket_has_the_session(app: FastAPI, live_session: AsyncSession) -> None:
    user = await make_user(live_session)

    @app.websocket("/work")
    async def endpoint(websocket: WebSocket, session: SessionDep) -> None:
        await websocket.accept()
        title = await websocket.receive_text()
        session.add(Marble(title=title, owner_id=user.id))
        await session.commit()
        await websocket.send_text(str(await count_marbles(session)))
        await websocket.close()

    async with serving(app) as address:
        async with connect(address) as websocket:
            await websocket.send("Sent")
            assert await websocket.recv() == "1"
        assert app.state.database.connections_in_use == 0


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound(), 1008), (Unavailable("pool"), 1013), (LookupError(), 1011)]
)
async def test_error_closes_a_websocket_that_is_open(
    app: FastAPI, error: Exception, code: int
) -> None:
    @app.websocket("/work")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise error

    async with serving(app) as address, connect(address) as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_connection_that_is_lost_closes_the_websocket(app: FastAPI) -> None:
    @app.websocket("/work")
    async def endpoint(websocket: WebSocket, session: SessionDep) -> None:
        await websocket.accept()
        connection = await session.connection()
        await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async with serving(app) as address, connect(address) as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
