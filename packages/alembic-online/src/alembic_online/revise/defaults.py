"""Database defaults from the scalar defaults of models: the exact value, or none.

A default is written as plain text in quotes, which PostgreSQL and SQLite read alike as a value of
the column's type, so that one revision serves both. Whether it became the same value is not
believed but tried: see `stored_default`.
"""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

WAYS_OUT = """\
    Give the model another default, or write it for the database too:
        sa_column_kwargs={'server_default': ...}"""


class UnusableDefaultError(Exception):
    """The model's own type does not take the default, or does not give it back."""


class ModelDefault(sa.DefaultClause):
    """A default that was taken from the model, not written for the database by its author."""


def database_default(column: sa.Column[Any], dialect: sa.Dialect) -> ModelDefault | None:
    """Write the model's scalar default for the database; None if it has none or cannot be."""
    value = scalar_default(column)
    if value is None:
        return None
    with _named(value):
        text = _text(*_as_stored(value, column.type, dialect), dialect)
    if text is None:
        return None
    if isinstance(column.type, sa.Boolean):
        return ModelDefault(sa.true() if value else sa.false())
    return ModelDefault(text)


def scalar_default(column: sa.Column[Any]) -> Any:
    default = column.default
    return default.arg if isinstance(default, sa.ColumnDefault) and default.is_scalar else None


def stored_default(connection: sa.Connection, column: sa.Column[Any]) -> Any:
    """Return what a new row gets, by inserting one; `DBAPIError` if the database refuses it."""
    copy = sa.Column("value", column.type, server_default=_argument(column.server_default))
    table = sa.Table("default_trial", sa.MetaData(), copy, prefixes=["TEMPORARY"])
    with connection.begin_nested() as savepoint:
        connection.execute(CreateTable(table))
        connection.execute(table.insert())
        with _named(scalar_default(column)):
            stored = connection.scalar(sa.select(table.c.value))
        savepoint.rollback()
    return stored


@contextmanager
def _named(value: Any) -> Iterator[None]:
    """Turn whatever the application's type raises into a sentence."""
    try:
        yield
    except Exception as error:
        raise UnusableDefaultError(
            f"its default {value!r} cannot be stored: {type(error).__name__}: {error}\n{WAYS_OUT}"
        ) from error


def is_same(stored: Any, value: Any) -> bool:
    if isinstance(stored, Decimal) and isinstance(value, float):
        return stored == Decimal(repr(value))
    return bool(stored == value)


def _argument(default: sa.FetchedValue | None) -> Any:
    return default.arg if isinstance(default, sa.DefaultClause) else default


def _as_stored(
    value: Any, type_: sa.types.TypeEngine[Any], dialect: sa.Dialect
) -> tuple[Any, sa.types.TypeEngine[Any]]:
    """Do what the model's own types do to a value before it is sent."""
    while isinstance(type_, sa.TypeDecorator):
        with suppress(NotImplementedError):
            value = type_.process_bind_param(value, dialect)
        type_ = type_.load_dialect_impl(dialect)
    return value, type_


def _text(value: Any, type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str | None:
    if isinstance(type_, sa.Enum):
        process: Any = type_.bind_processor(dialect)  # type: ignore[no-untyped-call]
        return str(process(value)) if process else str(value)
    if isinstance(type_, sa.JSON):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(type_, sa.ARRAY):
        elements = [
            _text(*_as_stored(element, type_.item_type, dialect), dialect) for element in value
        ]
        return None if None in elements else "{" + ",".join(map(_quoted, elements)) + "}"
    return _plain_text(value.value if isinstance(value, Enum) else value, dialect)


def _quoted(element: str | None) -> str:
    """Quote an element as PostgreSQL's array syntax wants it."""
    escaped = (element or "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain_text(value: Any, dialect: sa.Dialect) -> str | None:  # noqa: PLR0911  # one line a type
    match value:
        case bool() | int():
            return str(int(value))
        case float():
            return repr(value)
        case Decimal():
            return format(value, "f")
        case str():
            return str(value)
        case dt.datetime():
            return value.isoformat(sep=" ")
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"
        case UUID():
            return value.hex
        case bytes() if dialect.name == "postgresql":
            return rf"\x{value.hex()}"
    return None
