"""What is repeated, and what is answered 503: on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client import REGISTRY
from sqlalchemy import URL, NullPool, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.errors import OutcomeUnknown, violates
from app.database.transactions import Database
from app.database.url import DatabaseURLError, database_url
from app.users.models import User
from app.users.schemas import UserCreate
from app.users.service import EmailTaken, create_user
from app.web.router import Router
from app.web.session import SessionDep
from tests.factories import make_invitation, make_user, new_user
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

Work = Callable[[AsyncSession], Awaitable[None]]


@pytest.fixture
def live(live_app: FastAPI) -> Database:
    """The live application's database."""
    database: Database = live_app.state.database
    return database


@pytest.fixture
async def elsewhere(live_database: URL) -> AsyncIterator[AsyncEngine]:
    """Other clients of the same database, each statement of theirs committed at once."""
    engine = create_async_engine(live_database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, statement: str, **parameters: object) -> None:
    async with engine.connect() as connection:
        await connection.execute(text(statement), parameters)


async def server_process(session: AsyncSession) -> int:
    process: int = await (await session.connection()).scalar(text("SELECT pg_backend_pid()"))
    return process


async def kill(engine: AsyncEngine, process: int) -> None:
    """End a connection as a failing server does, and return when it has ended."""
    await run(engine, "SELECT pg_terminate_backend(CAST(:process AS int), 5000)", process=process)


class Attempts:
    """Work that counts how often it was run."""

    def __init__(self, work: Callable[[AsyncSession, int], Awaitable[None]]) -> None:
        self._work = work
        self.count = 0

    async def __call__(self, session: AsyncSession) -> None:
        self.count += 1
        await self._work(session, self.count)


async def test_transact_commits_what_the_work_did(
    live: Database, live_session: AsyncSession
) -> None:
    user = await live.transact(
        lambda session: create_user(session, UserCreate(**make_invitation()))
    )
    assert await live_session.get(User, user.id) is not None


async def test_transact_keeps_nothing_of_work_that_fails(
    live: Database, live_session: AsyncSession
) -> None:
    async def fail(session: AsyncSession, _: int) -> None:
        await create_user(session, UserCreate(**make_invitation()))
        raise EmailTaken

    work = Attempts(fail)
    with pytest.raises(EmailTaken):
        await live.transact(work)
    assert work.count == 1
    assert (await live_session.exec(select(func.count()).select_from(User))).one() == 0


async def test_transact_repeats_after_a_serialization_failure(
    live: Database, live_session: AsyncSession, elsewhere: AsyncEngine
) -> None:
    user = await make_user(live_session)

    async def rename(session: AsyncSession, attempt: int) -> None:
        connection = await session.connection()
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await connection.execute(text("SELECT 1"))
        if attempt == 1:
            await run(elsewhere, "UPDATE \"user\" SET full_name = 'theirs'")
        await session.exec(update(User).values(full_name=f"attempt {attempt}"))

    work = Attempts(rename)
    await live.transact(work)
    await live_session.refresh(user)
    assert (work.count, user.full_name) == (2, "attempt 2")


async def test_transact_repeats_after_a_deadlock(
    live: Database, live_session: AsyncSession
) -> None:
    # Not of users, whose table Citus locks whole.
    user = await make_user(live_session)
    marbles = [await make_marble(live_session, user) for _ in range(2)]
    both_hold_one = asyncio.Barrier(2)

    def lock(first: Marble, second: Marble) -> Attempts:
        async def rename(session: AsyncSession, attempt: int) -> None:
            if attempt > 1:
                return  # the other has both locks, or had them
            for marble in (first, second):
                if marble is second:
                    await both_hold_one.wait()
                await session.exec(
                    update(Marble).where(col(Marble.id) == marble.id).values(title="Locked")
                )

        return Attempts(rename)

    forth, back = lock(*marbles), lock(*reversed(marbles))
    await asyncio.gather(live.transact(forth), live.transact(back))
    assert sorted([forth.count, back.count]) == [1, 2]


async def test_transact_tries_a_foreign_key_violation_once(live: Database) -> None:
    async def add_marble(session: AsyncSession, _: int) -> None:
        session.add(Marble(title="Nobody's", owner_id=uuid4()))
        await session.flush()

    work = Attempts(add_marble)
    with pytest.raises(IntegrityError) as refused:
        await live.transact(work)
    assert violates(refused.value, "fk_marble_owner_id")
    assert work.count == 1


async def test_transact_repeats_when_the_row_it_writes_is_gone(
    live: Database, live_session: AsyncSession, elsewhere: AsyncEngine
) -> None:
    marble = await make_marble(live_session, await make_user(live_session))

    async def rename(session: AsyncSession, _: int) -> None:
        mine = await session.get(Marble, marble.id)
        if mine is None:
            raise LookupError
        await run(elsewhere, "DELETE FROM marble")
        mine.title = "New"

    work = Attempts(rename)
    with pytest.raises(LookupError):
        await live.transact(work)
    assert work.count == 2


async def test_transact_gives_up_after_five_attempts(live: Database) -> None:
    async def fail(_: AsyncSession, __: int) -> None:
        raise StaleDataError

    work = Attempts(fail)
    with pytest.raises(StaleDataError):
        await live.transact(work)
    assert work.count == 5


async def test_transact_does_not_repeat_other_refusals(
    live: Database, live_session: AsyncSession
) -> None:
    await make_user(live_session, email="ada@example.com")

    async def add(session: AsyncSession, _: int) -> None:
        session.add(new_user())
        await session.flush()

    work = Attempts(add)
    with pytest.raises(IntegrityError) as refused:
        await live.transact(work)
    assert work.count == 1
    assert violates(refused.value, "ix_user_email")
    assert not violates(refused.value, "pk_user")


@pytest.mark.parametrize("read_only", [True, False])
async def test_transact_repeats_when_the_connection_is_lost_before_commit(
    live: Database, elsewhere: AsyncEngine, *, read_only: bool
) -> None:
    async def lose_connection(session: AsyncSession, attempt: int) -> None:
        process = await server_process(session)
        if attempt == 1:
            await kill(elsewhere, process)
        await server_process(session)

    work = Attempts(lose_connection)
    await live.transact(work, read_only=read_only)
    assert work.count == 2


async def test_transact_repeats_on_a_connection_that_the_pool_had_lost(
    live: Database, elsewhere: AsyncEngine
) -> None:
    await kill(elsewhere, await live.transact(server_process))
    assert await live.transact(server_process)


async def test_transact_does_not_repeat_when_the_connection_is_lost_in_commit(
    live: Database, live_session: AsyncSession, elsewhere: AsyncEngine
) -> None:
    async def lose_commit(session: AsyncSession, _: int) -> None:
        session.add(new_user())
        await session.flush()
        await kill(elsewhere, await server_process(session))

    work = Attempts(lose_commit)
    with pytest.raises(OutcomeUnknown):
        await live.transact(work)
    assert work.count == 1
    assert (await live_session.exec(select(func.count()).select_from(User))).one() == 0


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(("old", "new"), [("varchar(100)", "varchar(255)"), ("int", "bigint")])
async def test_transact_survives_a_type_change_under_prepared_statements(
    live: Database, elsewhere: AsyncEngine, old: str, new: str, *, read_only: bool
) -> None:
    async def read(session: AsyncSession) -> str:
        connection = await session.connection()
        (row,) = await connection.execute(text("SELECT * FROM changing"))
        return str(row[0])

    async def read_in_parallel() -> set[str]:
        reads = (live.transact(read, read_only=read_only) for _ in range(8))
        return set(await asyncio.gather(*reads))

    await run(elsewhere, f"CREATE TABLE changing AS SELECT CAST('4711' AS {old}) AS value")
    try:
        for _ in range(10):  # psycopg prepares a statement that it has sent five times
            assert await read_in_parallel() == {"4711"}
        await run(elsewhere, f"ALTER TABLE changing ALTER value TYPE {new}")
        for _ in range(3):
            assert await read_in_parallel() == {"4711"}
    finally:
        await run(elsewhere, "DROP TABLE changing")


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
