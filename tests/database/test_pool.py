"""Which connections are lent and kept: on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.database.session import Session
from app.database.statements import Statement
from app.database.transactions import Database

PROCESS = Statement[int](select(func.pg_backend_pid()))


async def ask(session: Session) -> int:
    """Return the process of the server that serves the session's connection."""
    return await session.fetch_one(PROCESS)


@pytest.fixture
async def small(live_database: URL) -> AsyncIterator[Database]:
    database = Database(live_database, pool_size=2)
    yield database
    await database.dispose()


async def test_connection_used_last_is_lent_first(small: Database) -> None:
    async with small.autocommit() as first, small.autocommit() as second:
        processes = [await ask(first), await ask(second)]
        await first.close()
        assert await small.transact(ask) == processes[0]
        await second.close()
        assert await small.transact(ask) == processes[1]


async def test_requests_wait_for_a_connection(small: Database) -> None:
    processes = await asyncio.gather(*(small.transact(ask) for _ in range(20)))
    assert len(set(processes)) == 2
    assert small.connections_in_use == 0


async def test_requests_do_not_wait_for_ever(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.pool._PATIENCE", 0.01)
    async with small.autocommit() as first, small.autocommit() as second:
        await ask(first)
        await ask(second)
        with pytest.raises(PoolTimeoutError):
            await small.transact(ask)
    assert await small.transact(ask)


async def test_request_that_stops_waiting_takes_no_place(small: Database) -> None:
    async with small.autocommit() as first, small.autocommit() as second:
        await ask(first)
        await ask(second)
        waiting = [asyncio.create_task(small.transact(ask)) for _ in range(3)]
        await asyncio.sleep(0)
        for each in waiting[:2]:
            each.cancel()
    assert await waiting[2]
    assert await asyncio.gather(*(small.transact(ask) for _ in range(2)))
    assert small.connections_in_use == 0


async def test_connection_that_cannot_be_opened_takes_no_place() -> None:
    absent = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="app")
    database = Database(absent, pool_size=1)
    for _ in range(2):
        with pytest.raises(OperationalError):
            await database.transact(ask)
    assert database.connections_in_use == 0


async def test_old_connection_is_replaced(small: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    process = await small.transact(ask)
    assert await small.transact(ask) == process
    monkeypatch.setattr("app.database.pool._LIFETIME", -1)
    assert await small.transact(ask) != process
