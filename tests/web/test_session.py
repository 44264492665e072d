"""What becomes of a session around code that is not the routes': nothing lost, nothing twice."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.middleware import Middleware
from starlette.types import Message

from app.database.transactions import Database
from app.users.models import User
from app.web.router import Router
from app.web.session import DatabaseDep, SessionDep, TransactionDep, get_session
from tests.factories import make_user, new_user
from tests.marbles import Marble
from tests.problems import read_problem

FAILURE = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"


@pytest.fixture
async def user(live_session: AsyncSession) -> User:
    return await make_user(live_session)


@pytest.fixture(params=[Router, APIRouter])
def router(request: pytest.FixtureRequest) -> APIRouter:
    """Ours, and FastAPI's."""
    router: APIRouter = request.param()
    return router


async def count_marbles(session: AsyncSession) -> int:
    count = (await session.exec(select(func.count()).select_from(Marble))).one()
    await session.commit()
    return count


async def fail(session: AsyncSession) -> None:
    await (await session.connection()).execute(text(FAILURE))


async def test_generator_that_writes_is_left_to_itself(
    live_app: FastAPI,
    live_client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    @router.post("/events", response_class=EventSourceResponse)
    async def endpoint(session: SessionDep) -> AsyncIterable[ServerSentEvent]:
        session.add(Marble(title="First", owner_id=user.id))
        await session.commit()
        yield ServerSentEvent(data="first")
        session.add(Marble(title="Second", owner_id=user.id))

    live_app.include_router(router)
    for _ in range(5):
        answer = await live_client.post("/events")
        assert (answer.status_code, answer.text.count("data:")) == (200, 1)
    assert await count_marbles(live_session) == 10


async def test_repetition_leaks_no_connection_of_a_dependency(
    live_app: FastAPI, live_client: AsyncClient
) -> None:
    tries: list[AsyncSession] = []

    async def look_afterwards(session: SessionDep) -> AsyncIterator[None]:
        yield
        await session.exec(select(User))

    @live_app.post("/work", dependencies=[Depends(look_afterwards)])
    async def endpoint(session: SessionDep) -> None:
        tries.append(session)
        if len(tries) % 2:
            await fail(session)

    for _ in range(5):
        assert (await live_client.post("/work")).status_code == 200
    assert len(tries) == 10
    assert live_app.state.database.connections_in_use == 0


@pytest.mark.parametrize("way", ["transact", "session", "engine"])
async def test_what_another_session_has_committed_is_not_done_again(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession, user: User, way: str
) -> None:
    async def add(session: AsyncSession) -> None:
        session.add(Marble(title="Once", owner_id=user.id))

    @live_app.post("/work")
    async def endpoint(session: SessionDep, database: DatabaseDep) -> None:
        if way == "transact":
            await database.transact(add)
        elif way == "session":
            async with AsyncSession(database.engine) as own:
                await add(own)
                await own.commit()
        else:
            async with database.engine.begin() as connection:
                values = {"title": "Once", "owner_id": user.id, "id": user.id}
                await connection.execute(Marble.__table__.insert(), values)  # type: ignore[attr-defined]  # SQLModel's
        await fail(session)

    read_problem(await live_client.post("/work"), 503, "unavailable")
    assert await count_marbles(live_session) == 1


async def test_session_of_a_middleware_is_the_routes(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    class AddMarble:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                session = await get_session(Request(scope))
                session.add(Marble(title="By the middleware", owner_id=user.id))
                await session.flush()
            await self.app(scope, receive, send)

    live_app.user_middleware.append(Middleware(AddMarble))  # within ours

    @live_app.post("/work")
    async def endpoint(session: SessionDep) -> int:
        return (await session.exec(select(func.count()).select_from(Marble))).one()

    assert (await live_client.post("/work")).json() == 1
    assert await count_marbles(live_session) == 1


async def test_transaction_dep_keeps_the_transaction_that_there_is(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    async def add(session: SessionDep) -> None:
        session.add(Marble(title="Undone", owner_id=user.id))
        await session.flush()

    @live_app.post("/work", dependencies=[Depends(add)])
    async def endpoint(session: TransactionDep) -> None:
        assert session.in_transaction()
        raise HTTPException(409)

    read_problem(await live_client.post("/work"), 409, "conflict")
    assert await count_marbles(live_session) == 0


async def test_what_was_refused_is_undone(
    live_app: FastAPI,
    live_client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    @router.post("/raise/{status}")
    async def raise_it(session: SessionDep, status: int) -> None:
        session.add(Marble(title="Undone", owner_id=user.id))
        await session.flush()
        raise HTTPException(status)

    @router.post("/return/{status}")
    async def return_it(session: SessionDep, status: int) -> Response:
        session.add(Marble(title="Undone", owner_id=user.id))
        return PlainTextResponse("no", status)

    live_app.include_router(router)
    for path, count in (("raise/303", 0), ("raise/409", 0), ("return/409", 0), ("return/303", 1)):
        answer = await live_client.post(f"/{path}")
        assert answer.status_code == int(path.partition("/")[2])
        assert await count_marbles(live_session) == count, path


async def test_commit_that_fails_runs_no_background_task(
    live_app: FastAPI, live_client: AsyncClient, user: User, router: APIRouter
) -> None:
    ran: list[str] = []

    @live_app.exception_handler(IntegrityError)
    def handle(_: Request, __: Exception) -> Response:
        return PlainTextResponse("taken", 418)

    @router.post("/work")
    async def endpoint(session: SessionDep, tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "ran")
        session.add(new_user(user.email))

    live_app.include_router(router)
    answer = await live_client.post("/work")
    assert (answer.status_code, answer.text) == (418, "taken")
    assert ran == []


async def test_stream_that_is_broken_off_is_undone(
    live_app: FastAPI, live_session: AsyncSession, user: User
) -> None:
    begun = asyncio.Event()

    @live_app.post("/work")
    async def endpoint(session: SessionDep) -> StreamingResponse:
        async def write() -> AsyncIterator[str]:
            session.add(Marble(title="Half", owner_id=user.id))
            await session.flush()
            yield "begun"
            begun.set()
            await asyncio.Event().wait()

        return StreamingResponse(write())

    async def receive() -> Message:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/work",
        "query_string": b"",
        "headers": [(b"host", b"test")],
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    await live_app(scope, receive, send)
    assert await count_marbles(live_session) == 0
    database: Database = live_app.state.database
    assert database.connections_in_use == 0


@pytest.mark.parametrize("status", [204, 304])
async def test_refusal_without_a_body_has_none(
    live_app: FastAPI, live_client: AsyncClient, status: int
) -> None:
    @live_app.get("/work")
    async def endpoint() -> None:
        raise HTTPException(status)

    answer = await live_client.get("/work")
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    ("statement", "is_fine"),
    [
        ("/* r */ SELECT 1", True),
        ("-- c\nSELECT 1", True),
        ("SELECT 'for update'", True),
        ("UPDATE marble AS m SET title = 'x'", False),
        ("UPDATE ONLY marble SET title = 'x'", False),
        ("EXPLAIN ANALYZE UPDATE marble m SET title = 'x'", False),
        ("SELECT 1 AS a INTO made", False),
        ("WITH d AS (DELETE FROM marble RETURNING id) SELECT 1", False),
        ("DO $$ BEGIN END $$", False),
    ],
)
async def test_reader_is_kept_from_writing(
    live_app: FastAPI, live_client: AsyncClient, statement: str, *, is_fine: bool
) -> None:
    @live_app.get("/work")
    async def endpoint(session: SessionDep) -> None:
        await (await session.connection()).execute(text(statement))

    assert (await live_client.get("/work")).status_code == (200 if is_fine else 500)
