"""Whose token is it? The one statement that every request sends, hence the one past the ORM.

SQLAlchemy's ORM takes 250 us around it, psycopg 60. To do without, let `find_login` be a
`session.exec` of the same `select`; nothing else knows how the statement is sent.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import AsyncConnection
from sqlalchemy import Select, bindparam, func, inspect, select
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import make_transient_to_detached
from sqlmodel import col

from app.auth.models import USE_WRITTEN_AFTER, LoginSession, is_live
from app.database.deadline import watching
from app.database.errors import proves_unusable
from app.database.transactions import Database
from app.users.models import User

RECENT = timedelta(minutes=15)

IS_USE_DUE = col(LoginSession.last_used_at) < func.now() - USE_WRITTEN_AFTER


class FoundLogin(NamedTuple):
    user: User
    session_id: uuid.UUID
    is_recent: bool
    is_use_due: bool
    is_strong: bool


async def find_login(database: Database, token_hash: bytes) -> FoundLogin | None:
    """Return the live login session with this token, and its user, who is in no session yet."""
    values = {"token_hash": token_hash}
    async with database.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        try:
            row = await _send(cast(AsyncConnection[Any], driver), values)
        except psycopg.Error as error:
            if error.sqlstate and not proves_unusable(error):
                raise DBAPIError(_compiled()[0], None, error, hide_parameters=True) from error
            # SQLAlchemy meets the same error, and knows what it means for the connection.
            row = (await connection.execute(_statement(), values)).one_or_none()
    if row is None:
        return None
    session_id, is_recent, is_use_due, is_strong, *columns = row
    user = User(**dict(zip(_attributes(), columns, strict=True)))
    make_transient_to_detached(user)
    return FoundLogin(user, session_id, is_recent, is_use_due, is_strong)


async def _send(driver: AsyncConnection[Any], values: dict[str, Any]) -> Sequence[Any] | None:
    """Send the statement, and let each column's type make of its value what it does in the ORM."""
    sql, constants = _compiled()
    with watching(driver):
        cursor = await driver.execute(sql, constants | values)
    row: Sequence[Any] | None = await cursor.fetchone()
    if row is None:
        return None
    processors = _processors(tuple(each.type_code for each in cursor.description or ()))
    return [
        process(value) if process else value for process, value in zip(processors, row, strict=True)
    ]


# Made at the first use: by then all models are there that `User` refers to.


@cache
def _attributes() -> list[str]:
    return [each.key for each in inspect(User).column_attrs]


@cache
def _statement() -> Select[*tuple[Any, ...]]:
    columns: list[Any] = [
        LoginSession.id,
        col(LoginSession.authenticated_at) > func.now() - RECENT,
        IS_USE_DUE,
        LoginSession.is_strong,
        *(getattr(User, name) for name in _attributes()),
    ]
    return (
        select(*columns)
        .join(User, col(LoginSession.user_id) == User.id)
        .where(
            col(LoginSession.token_hash) == bindparam("token_hash"),
            is_live(),
            col(User.is_active),
        )
    )


@cache
def _compiled() -> tuple[str, dict[str, Any]]:
    compiled = _statement().compile(dialect=dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return str(compiled), dict(compiled.params)


@cache
def _processors(type_codes: tuple[int, ...]) -> list[Callable[[Any], Any] | None]:
    """Return what SQLAlchemy's types do with values that PostgreSQL sends as these types."""
    ours = dialect()  # type: ignore[no-untyped-call]  # as above
    return [
        column.type.dialect_impl(ours).result_processor(ours, code)
        for column, code in zip(_statement().exported_columns, type_codes, strict=True)
    ]
