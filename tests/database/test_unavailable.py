"""What is answered 503, and how that is counted."""

from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client import REGISTRY
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.web.router import Router
from app.web.session import SessionDep
from tests.database.test_transactions import Attempts, server_process
from tests.problems import read_problem

Work = Callable[[AsyncSession], Awaitable[None]]


def count_unavailable(reason: str, cause: str) -> float:
    labels = {"reason": reason, "cause": cause}
    return REGISTRY.get_sample_value("http_unavailable_total", labels) or 0


async def unavailable(
    client: AsyncClient, reason: str, cause: str, method: str = "POST", path: str = "/work"
) -> None:
    before = count_unavailable(reason, cause)
    answer = await client.request(method, path)
    read_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert count_unavailable(reason, cause) == before + 1


def add_route(app: FastAPI, work: Work) -> None:
    """Add `POST /work` to the application."""
    router = Router()

    @router.post("/work", status_code=204)
    async def endpoint(session: SessionDep) -> None:
        await work(session)

    app.include_router(router)


async def test_a_server_that_is_absent_is_unavailable(
    live_app: FastAPI, live_client: AsyncClient
) -> None:
    live = live_app.state.database
    absent = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="app")
    live_app.state.database = Database(absent, pool_size=1)
    await unavailable(live_client, "connect", "OperationalError", "GET", "/readyz")
    live_app.state.database = live


async def test_an_exhausted_pool_is_unavailable(
    live_app: FastAPI,
    live_client: AsyncClient,
    live_database: URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.database.engine._PATIENCE", 0.05)
    live = live_app.state.database
    small = live_app.state.database = Database(live_database, pool_size=1)
    async with small.new_session() as session:
        await session.connection()
        await unavailable(live_client, "pool", "TimeoutError", "GET", "/readyz")
    await small.dispose()
    live_app.state.database = live


async def test_a_lock_held_too_long_is_unavailable(
    live_app: FastAPI, live_client: AsyncClient, live: Database
) -> None:
    async def lock(session: AsyncSession) -> None:
        connection = await session.connection()
        await connection.execute(text("SET LOCAL lock_timeout = 10"))
        await connection.execute(text("LOCK TABLE outbox"))

    add_route(live_app, lock)
    async with live.new_session() as holder:
        await (await holder.connection()).execute(text("LOCK TABLE outbox"))
        await unavailable(live_client, "time_limit", "55P03")
    assert (await live_client.post("/work")).status_code == 204


async def test_a_statement_that_takes_too_long_is_unavailable(
    live_app: FastAPI, live_client: AsyncClient
) -> None:
    async def dawdle(session: AsyncSession) -> None:
        connection = await session.connection()
        await connection.execute(text("SET LOCAL statement_timeout = 10"))
        await connection.execute(text("SELECT pg_sleep(60)"))

    add_route(live_app, dawdle)
    await unavailable(live_client, "time_limit", "57014")


async def test_a_transaction_left_idle_is_unavailable(
    live_app: FastAPI, live_client: AsyncClient, elsewhere: AsyncEngine
) -> None:
    async def idle(session: AsyncSession) -> None:
        connection = await session.connection()
        process = await server_process(session)
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
        async with elsewhere.connect() as watcher:
            gone = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :process")
            while await watcher.scalar(gone, {"process": process}):
                pass
        await connection.execute(text("SELECT 1"))

    add_route(live_app, idle)
    # The server's last words may be read before its hanging up is noticed, or not.
    causes = [("connection", "OperationalError"), ("time_limit", "25P03")]
    before = sum(count_unavailable(*each) for each in causes)
    read_problem(await live_client.post("/work"), 503, "unavailable")
    assert sum(count_unavailable(*each) for each in causes) == before + 1


async def test_an_endless_fight_is_unavailable(live_app: FastAPI, live_client: AsyncClient) -> None:
    async def lose(session: AsyncSession) -> None:
        raise_failure = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
        await (await session.connection()).execute(text(raise_failure))

    work = Attempts(lambda session, _: lose(session))
    add_route(live_app, work)
    await unavailable(live_client, "conflict", "40001")
    assert work.count == 5


async def test_a_fault_of_ours_is_no_unavailability(
    live_app: FastAPI, live_client: AsyncClient
) -> None:
    async def fail(session: AsyncSession) -> None:
        await (await session.connection()).execute(text("SELECT 1 / 0"))

    add_route(live_app, fail)
    read_problem(await live_client.post("/work"), 500, "internal_server_error")
