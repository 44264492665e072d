"""Statements that are built once, beside the ORM in the same transaction: on a real PostgreSQL."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import (
    ARRAY,
    JSON,
    URL,
    Date,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    text,
    type_coerce,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlmodel import UTCDateTime, col, select

from app.database import Database, violates
from app.database_url import libpq_uri
from app.items.models import Item
from app.session import Session
from app.statements import Statement
from app.users.models import User
from tests.factories import make_item, make_user

FIND = Statement[Item](select(Item).where(Item.id == bindparam("id")), Item)
RENAME = Statement[Item](
    update(Item)
    .where(col(Item.id) == bindparam("item_id"))
    .values(title=bindparam("new"))
    .returning(Item),
    Item,
)
COUNT = Statement[int](select(func.count()).select_from(Item))
WITH_OWNER = Statement[tuple[Item, str, bool]](
    select(Item, User.email, col(Item.created_at) > bindparam("since"))
    .join(User)
    .where(Item.id == bindparam("id")),
    Item,
)


@pytest.fixture
def live(live_app: FastAPI) -> Database:
    database: Database = live_app.state.database
    return database


@pytest.fixture
async def item(session: Session, user: User) -> Item:
    return await make_item(session, user, title="Old")


@pytest.fixture
async def reading(database: Database) -> Any:
    async with database.new_session(read_only=True) as session:
        yield session


async def test_fetch_returns_objects_as_the_orm_does(
    session: Session, reading: Session, item: Item
) -> None:
    (fetched,) = await reading.fetch(FIND, id=item.id)
    loaded = await session.get(Item, item.id, populate_existing=True)
    assert loaded is not None
    assert fetched.model_dump() == loaded.model_dump()
    assert fetched.created_at.tzinfo is UTC


async def test_fetch_returns_no_lazy_relationships(reading: Session, item: Item) -> None:
    fetched = await reading.fetch_one(FIND, id=item.id)
    with pytest.raises(DetachedInstanceError):
        _ = fetched.owner


async def test_fetch_returns_values_and_tuples(session: Session, item: Item, user: User) -> None:
    assert await session.fetch(COUNT) == [1]
    since = datetime.now(UTC) + timedelta(days=1)
    ((fetched, *values),) = await session.fetch(WITH_OWNER, id=item.id, since=since)
    assert (fetched.id, values) == (item.id, [user.email, False])


async def test_find_one_returns_none_where_nothing_is(session: Session) -> None:
    assert await session.find_one(FIND, id=uuid4()) is None
    with pytest.raises(ValueError, match="not enough values"):
        await session.fetch_one(FIND, id=uuid4())


async def test_fetched_object_is_written_once_it_is_added(session: Session, item: Item) -> None:
    session.expunge_all()
    fetched = await session.fetch_one(FIND, id=item.id)
    session.add(fetched)
    fetched.title = "New"
    await session.commit()
    assert (await session.exec(select(Item.title))).one() == "New"
    await session.refresh(fetched, ["owner"])
    assert fetched.owner is not None


@pytest.mark.parametrize("statement", [FIND, WITH_OWNER])
async def test_commit_refuses_an_object_that_was_changed_and_not_added(
    session: Session, item: Item, statement: Statement[Any]
) -> None:
    since = {} if statement is FIND else {"since": datetime.now(UTC)}
    fetched = await session.fetch_one(statement, id=item.id, **since)
    (fetched if statement is FIND else fetched[0]).title = "New"
    with pytest.raises(RuntimeError, match="was changed without"):
        await session.commit()


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


@pytest.mark.parametrize("constant", ["100 %", "%s", "it's", "a\\b", "%(id)s", 1.5, None, True])
async def test_constants_are_part_of_the_statement(session: Session, constant: object) -> None:
    echo = Statement[tuple[Any, int]](
        select(literal(constant), bindparam("number", type_=Integer)).where(
            literal(constant).is_not_distinct_from(constant)
        )
    )
    assert await session.fetch_one(echo, number=1) == (constant, 1)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Numeric(10, 2), Decimal("1.50")),
        (Numeric(10, 2, asdecimal=False), 1.5),
        (Float(), 1.5),
        (Float(asdecimal=True), Decimal("1.5")),
        (JSON(), {"a": [1, None]}),
        (Enum("red", "blue", name="color", native_enum=False), "red"),
        (Interval(), timedelta(days=1)),
        (LargeBinary(), b"\0a"),
        (ARRAY(String()), ["a", None]),
        (Date(), date(2026, 11, 25)),
        (Uuid(), UUID(int=1)),
    ],
)
async def test_fetch_gives_values_as_their_types_have_them(
    session: Session, type_: Any, value: object
) -> None:
    echo = Statement[Any](select(cast(bindparam("value", type_=type_), type_)))
    sent = await session.fetch_one(echo, value=value)
    assert (sent, type(sent)) == (value, type(value))
    same = (await session.exec(echo.statement, params={"value": value})).one()
    assert (same, type(same)) == (value, type(value))


async def test_fetch_gives_instants_in_utc(session: Session, item: Item) -> None:
    connection = await session.connection()
    await connection.execute(text("SET LOCAL TIME ZONE 'Asia/Tokyo'"))
    moment = select(func.now())
    as_psycopg_has_it = await session.fetch_one(Statement[datetime](moment))
    assert as_psycopg_has_it.utcoffset() == timedelta(hours=9)
    found = await session.fetch_one(FIND, id=item.id)
    assert (found.created_at, found.created_at.tzinfo) == (item.created_at, UTC)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this process live where local time is not UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
async def test_fetch_gives_instants_without_a_zone_in_utc(session: Session) -> None:
    without_zone = type_coerce(func.timezone("UTC", func.now()), UTCDateTime())
    with_zone, read = await session.fetch_one(
        Statement[tuple[datetime, datetime]](select(func.now(), without_zone))
    )
    assert (read, read.tzinfo) == (with_zone, UTC)


async def test_begin_is_the_databases(session: Session) -> None:
    with pytest.raises(RuntimeError, match="transact"):
        session.begin()


@pytest.mark.parametrize("parameters", [{}, {"id": uuid4(), "other": 1}, {"identity": uuid4()}])
async def test_fetch_takes_just_the_parameters_of_the_statement(
    session: Session, parameters: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=r"takes \['id'\], was given"):
        await session.fetch(FIND, **parameters)


async def test_fetch_makes_no_defaults_of_python(session: Session, user: User) -> None:
    add = Statement[Item](insert(Item).values(title="New", owner_id=user.id).returning(Item), Item)
    with pytest.raises(TypeError, match="bindparam"):
        await session.fetch(add)


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


async def test_fetch_reads_enums_of_postgresql(session: Session) -> None:
    connection = await session.connection()
    await connection.execute(text("CREATE TYPE color AS ENUM ('red', 'blue')"))
    color = Enum("red", "blue", name="color")
    echo = Statement[str](select(cast(bindparam("value", type_=color), color)))
    assert await session.fetch_one(echo, value="red") == "red"


async def test_parameter_may_occur_twice(session: Session) -> None:
    unit = bindparam("unit", type_=String)
    day = func.date_trunc(unit, col(Item.created_at))
    count = Statement[tuple[datetime, int]](select(day, func.count()).group_by(day))
    assert await session.fetch(count, unit="day") == []


@pytest.mark.parametrize(
    "statement",
    [
        select(Item.id).where(col(Item.title).in_(["a", "b"])),
        select(Item.id).where(col(Item.title).in_(bindparam("titles", expanding=True))),
        select(Item.id).where(Item.title == bindparam("a title")),
    ],
)
def test_statement_refuses_what_has_no_fixed_text(statement: Any) -> None:
    with pytest.raises(TypeError, match=r"IN|words"):
        _ = Statement[UUID](statement).sql


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
