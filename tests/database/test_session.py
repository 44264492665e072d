"""A session: one connection and one transaction for the ORM and for statements built once."""

import asyncio
import contextlib
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import (
    URL,
    bindparam,
    func,
    insert,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col, select

from app.database.errors import violates
from app.database.session import Session
from app.database.statements import Statement
from app.database.transactions import Database
from app.database.url import libpq_uri
from app.items.models import Item
from app.users.models import User
from tests.factories import make_item, make_user

RENAME = Statement[Item](
    update(Item)
    .where(col(Item.id) == bindparam("item_id"))
    .values(title=bindparam("new"))
    .returning(Item),
    Item,
)
COUNT = Statement[int](select(func.count()).select_from(Item))


@pytest.fixture
def live(live_app: FastAPI) -> Database:
    database: Database = live_app.state.database
    return database


@pytest.fixture
async def item(session: Session, user: User) -> Item:
    return await make_item(session, user, title="Old")


async def test_fetch_sees_what_the_session_has_not_written_yet(
    session: Session, user: User
) -> None:
    session.add(Item(title="New", owner_id=user.id))
    assert await session.fetch(COUNT) == [1]


async def test_fetch_and_the_orm_are_one_transaction(live: Database, live_session: Session) -> None:
    item = await make_item(live_session, await make_user(live_session), title="Old")

    async def fail(session: Session) -> None:
        await session.fetch(RENAME, item_id=item.id, new="New")
        session.add(Item(title="Another", owner_id=item.owner_id))
        assert await session.fetch(COUNT) == [2]
        raise LookupError

    with pytest.raises(LookupError):
        await live.transact(fail)
    await live_session.refresh(item)
    assert item.title == "Old"
    assert await live_session.fetch(COUNT) == [1]


async def test_commit_gives_the_connection_back(live: Database) -> None:
    async with live.new_session(read_only=False) as session:
        await session.fetch(COUNT)
        await session.exec(select(Item))
        assert live.connections_in_use == 1
        await session.commit()
        assert live.connections_in_use == 0
        await session.exec(select(Item))
        await session.fetch(COUNT)
        assert live.connections_in_use == 1
    assert live.connections_in_use == 0


async def test_session_that_sends_nothing_takes_no_connection(live: Database) -> None:
    for read_only in (True, False):
        async with live.new_session(read_only=read_only) as session:
            await session.commit()
            await session.rollback()
            assert live.connections_in_use == 0


async def test_rollback_undoes_all_since_the_commit(session: Session, item: Item) -> None:
    await session.fetch(RENAME, item_id=item.id, new="New")
    await session.rollback()
    await session.refresh(item)
    assert item.title == "Old"


async def test_errors_are_sqlalchemys_and_hide_the_values(session: Session, item: Item) -> None:
    names = ("id", "title", "owner_id")
    add = Statement[UUID](
        insert(Item).values({name: bindparam(name) for name in names}).returning(col(Item.id))
    )
    with pytest.raises(IntegrityError) as refused:
        await session.fetch(add, id=item.id, title="Canary", owner_id=item.owner_id)
    assert violates(refused.value, "pk_item")
    assert "Canary" not in str(refused.value)
    await session.rollback()
    assert await session.fetch(COUNT) == [1]


async def test_begin_is_the_databases(session: Session) -> None:
    with pytest.raises(RuntimeError, match="transact"):
        session.begin()


PROCESS = Statement[int](select(func.pg_backend_pid()))


def kill(url: URL, process: int) -> None:
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [process])


@pytest.mark.parametrize("read_only", [True, False])
async def test_fetch_is_repeated_on_connections_that_the_pool_had_lost(
    live: Database, live_database: URL, *, read_only: bool
) -> None:
    """All that it keeps, as after a failover: more than a request would try by itself."""
    everyone_has_one = asyncio.Barrier(6)

    async def keep(session: Session) -> int:
        process = await session.fetch_one(PROCESS)
        await everyone_has_one.wait()
        return process

    processes = await asyncio.gather(*(live.transact(keep, read_only=read_only) for _ in range(6)))
    for process in processes:
        kill(live_database, process)

    async def ask(session: Session) -> int:
        return await session.fetch_one(PROCESS)

    assert await live.transact(ask, read_only=read_only) not in processes


async def test_commit_on_a_lost_connection_is_an_error(live: Database, live_database: URL) -> None:
    async with live.new_session(read_only=False) as session:
        kill(live_database, await session.fetch_one(PROCESS))
        with pytest.raises(DBAPIError):
            await session.fetch(PROCESS)
        with pytest.raises(DBAPIError):
            await session.commit()
    assert live.connections_in_use == 0


async def test_cancelled_request_leaves_a_connection_that_works(live: Database) -> None:
    sleep = Statement[None](select(func.pg_sleep(60)))
    running = Statement[int](
        select(func.count())
        .select_from(text("pg_stat_activity"))
        .where(text("query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
    )

    async def dawdle(session: Session) -> None:
        await session.fetch(sleep)

    for read_only in (True, False):
        request = asyncio.create_task(live.transact(dawdle, read_only=read_only))
        async with live.new_session(read_only=True) as watcher:
            while not await watcher.fetch_one(running):
                pass
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert live.connections_in_use == 0
    async with live.new_session(read_only=False) as session:
        assert await session.fetch_one(running) == 0


async def test_connection_in_an_unknown_state_is_lent_to_nobody(live: Database) -> None:
    async def begin(session: Session) -> int:
        await (await session.connection()).execute(text("BEGIN"))
        return await session.fetch_one(PROCESS)

    async def ask(session: Session) -> int:
        return await session.fetch_one(PROCESS)

    process = await live.transact(begin, read_only=True)
    assert await live.transact(ask, read_only=True) != process


async def test_closed_session_borrows_nothing(live: Database) -> None:
    session = live.autocommit()
    await session.fetch(COUNT)
    await session.close()
    with pytest.raises(RuntimeError):
        await session.fetch(COUNT)
    with pytest.raises(RuntimeError):
        await session.exec(select(Item))
    assert live.connections_in_use == 0


async def test_session_is_for_one_task(live: Database) -> None:
    async with live.new_session(read_only=False) as session:
        both = await asyncio.gather(
            session.fetch(COUNT), session.fetch(COUNT), return_exceptions=True
        )
        assert [type(each) for each in both] == [list, RuntimeError]
    assert live.connections_in_use == 0


async def test_close_ends_a_savepoint_that_was_left_open(live: Database) -> None:
    async def leave(session: Session) -> None:
        await session.begin_nested()
        await session.exec(select(Item))
        raise LookupError

    with pytest.raises(LookupError):
        await live.transact(leave)
    assert live.connections_in_use == 0
    await live.transact(lambda session: session.fetch(COUNT))


async def test_commit_of_what_a_failed_statement_has_undone_is_an_error(
    live: Database, live_session: Session
) -> None:
    item = await make_item(live_session, await make_user(live_session))
    add = Statement[UUID](
        insert(Item)
        .values({name: bindparam(name) for name in ("id", "title", "owner_id")})
        .returning(col(Item.id))
    )

    async def add_twice(session: Session) -> None:
        await session.fetch(add, id=uuid4(), title="New", owner_id=item.owner_id)
        with contextlib.suppress(IntegrityError):
            await session.fetch(add, id=item.id, title="New", owner_id=item.owner_id)

    with pytest.raises(DBAPIError, match="nothing to commit"):
        await live.transact(add_twice)
    assert live.connections_in_use == 0
    assert await live_session.fetch(COUNT) == [1]
