"""What the connections of the pool are like."""

import asyncio

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.database.url import DatabaseURLError, database_url
from tests.database.test_transactions import server_process
from tests.factories import new_user


async def test_transact_survives_a_pooler_that_changes_the_server(live_database: URL) -> None:
    """Behind one, prepared statements are not where they were, and psycopg is not told."""
    database = Database(live_database, pool_size=1)
    for _ in range(10):
        await database.transact(server_process, read_only=True)
    async with database.connect() as connection:
        await connection.execute(text("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"))
    assert await database.transact(server_process, read_only=True)
    await database.dispose()


async def test_transact_prepares_statements_unless_told_not_to(live_database: URL) -> None:
    async def count_prepared(session: AsyncSession) -> int:
        connection = await session.connection()
        query = text("SELECT count(*) FROM pg_prepared_statements")
        return max([int(await connection.scalar(query)) for _ in range(10)])

    counts = []
    for prepared_statements in (True, False):
        database = Database(live_database, pool_size=1, prepared_statements=prepared_statements)
        counts.append(await database.transact(count_prepared))
        await database.dispose()
    assert counts == [1, 0]


async def test_new_session_reads_without_a_transaction(live: Database) -> None:
    async def in_transaction(session: AsyncSession) -> bool:
        statement = text("SELECT now() = statement_timestamp()")
        await (await session.connection()).execute(statement)
        own_transaction: bool = await (await session.connection()).scalar(statement)
        return not own_transaction

    assert await live.transact(in_transaction, read_only=False)
    assert not await live.transact(in_transaction, read_only=True)


async def test_connections_have_limits(live: Database) -> None:
    async def show(session: AsyncSession) -> list[str]:
        connection = await session.connection()
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        return [str(await connection.scalar(text(f"SHOW {name}"))) for name in (*names, "timezone")]

    assert await live.transact(show) == ["5s", "2s", "10s", "UTC"]


async def test_errors_hide_the_values(live: Database) -> None:
    async def fail(session: AsyncSession) -> None:
        session.add(new_user("Canary@example.com"))
        await session.flush()

    with pytest.raises(IntegrityError) as refused:
        await live.transact(fail)
    statement = str(refused.value).replace(str(refused.value.orig), "")
    assert "Canary" not in statement


def test_database_refuses_sqlite() -> None:
    with database_url("sqlite://") as url, pytest.raises(DatabaseURLError, match="PostgreSQL"):
        Database(url, pool_size=1)


async def test_options_of_the_url_count(migrated_database: URL) -> None:
    url = migrated_database.update_query_dict({"options": "-c search_path=tenant"})
    database = Database(url, pool_size=1)
    async with database.new_session() as session:
        connection = await session.connection()
        assert await connection.scalar(text("SHOW search_path")) == "tenant"
        assert await connection.scalar(text("SHOW lock_timeout")) == "2s"
    await database.dispose()


async def test_cancelled_work_leaves_no_connection_behind(live_database: URL) -> None:
    database = Database(live_database, pool_size=2)
    arrived = asyncio.Semaphore(0)

    async def sleep(session: AsyncSession) -> None:
        connection = await session.connection()
        arrived.release()
        await connection.execute(text("SELECT pg_sleep(60)"))

    running = [asyncio.create_task(database.transact(sleep)) for _ in range(2)]
    waiting = [asyncio.create_task(database.transact(server_process)) for _ in range(3)]
    for _ in running:
        await arrived.acquire()
    for each in (*running, *waiting):
        each.cancel()
    await asyncio.gather(*running, *waiting, return_exceptions=True)
    assert database.connections_in_use == 0
    assert all(await asyncio.gather(*(database.transact(server_process) for _ in range(8))))
    assert database.connections_in_use == 0
    await database.dispose()


async def test_connection_used_last_is_lent_first(live_database: URL) -> None:
    database = Database(live_database, pool_size=2)
    async with database.new_session() as first, database.new_session() as second:
        processes = [await server_process(first), await server_process(second)]
        await first.close()
        assert await database.transact(server_process) == processes[0]
    await database.dispose()
