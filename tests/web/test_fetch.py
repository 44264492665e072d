"""What a `Statement` sends, and what it gives: on a real PostgreSQL."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
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
)
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlmodel import UTCDateTime, col, select

from app.database.session import Session
from app.database.statements import Statement
from app.database.transactions import Database
from app.items.models import Item
from app.users.models import User
from tests.factories import make_item

FIND = Statement[Item](select(Item).where(Item.id == bindparam("id")), Item)
COUNT = Statement[int](select(func.count()).select_from(Item))
WITH_OWNER = Statement[tuple[Item, str, bool]](
    select(Item, User.email, col(Item.created_at) > bindparam("since"))
    .join(User)
    .where(Item.id == bindparam("id")),
    Item,
)


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
