"""Rows for any table: nulls, longest values, Unicode, and each member of each enum."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

ROWS = 6
_numbers = count(1)


def fill_tables(connection: sa.Connection) -> None:
    """Add rows to every table that the database has, parents first.

    A row that a CHECK refuses is left out, but each table gets one.
    """
    metadata = sa.MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name != "alembic_version":
            accepted = [_insert(connection, table, row) for row in _rows(connection, table)]
            assert any(accepted), f"no generated row fits into {table.name}"


def _insert(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(table.insert().values(row))
    except IntegrityError:
        return False
    return True


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    for number in range(max([ROWS, *(len(_members(column)) for column in table.columns)])):
        yield {
            column.name: _value(connection, column, number)
            for column in table.columns
            if column.computed is None and column.identity is None
        }


def _value(connection: sa.Connection, column: sa.Column[Any], number: int) -> Any:
    if number == 0 and column.nullable:
        return None
    if column.foreign_keys:
        (key,) = column.foreign_keys
        values = connection.scalars(sa.select(key.column)).all()
        return values[number % len(values)] if values else None
    if members := _members(column):
        return members[number % len(members)]
    if column.name == "email":  # which is not any text: a CHECK may look at it
        return f"{next(_numbers)}@{('example', 'bücher')[number % 2]}.example"
    return _of_type(column.type, next(_numbers), longest=number % 2 == 1)


def _members(column: sa.Column[Any]) -> list[str]:
    return list(column.type.enums) if isinstance(column.type, sa.Enum) else []


def _of_type(kind: sa.types.TypeEngine[Any], number: int, *, longest: bool) -> Any:
    if isinstance(kind, sa.String):
        text = f"{number} ünïcödé 文字 🙂"
        return text.ljust((kind.length or 1000) * longest, "x")[: kind.length]
    if isinstance(kind, sa.Numeric) and kind.precision is not None:
        return Decimal(number % 10**kind.precision).scaleb(-(kind.scale or 0))
    if isinstance(kind, sa.ARRAY):
        return [_of_type(kind.item_type, number, longest=longest)]
    for known, make in _VALUES.items():
        if isinstance(kind, known):
            return make(number)
    raise AssertionError(f"say here what a value of {kind!r} looks like")


_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_VALUES: dict[type, Callable[[int], Any]] = {
    sa.LargeBinary: lambda number: number.to_bytes(32),
    sa.Uuid: lambda number: uuid.UUID(int=number),
    sa.Boolean: lambda number: number % 2 == 1,
    sa.Integer: int,
    sa.Float: lambda number: number / 8,
    sa.Numeric: Decimal,
    sa.DateTime: lambda number: _DAY + timedelta(number),
    sa.Date: lambda number: (_DAY + timedelta(number)).date(),
    sa.Time: lambda number: (_DAY + timedelta(minutes=number)).time(),
    sa.Interval: timedelta,
    sa.JSON: lambda number: {"number": number, "text": "文字 🙂", "nothing": None},
}
