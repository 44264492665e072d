"""What is repeated, and what is not: on a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.errors import OutcomeUnknown, violates
from app.database.transactions import Database
from app.users.models import User
from app.users.schemas import UserCreate
from app.users.service import EmailTaken, create_user
from tests.factories import make_invitation, make_user, new_user
from tests.marbles import Marble, make_marble


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
