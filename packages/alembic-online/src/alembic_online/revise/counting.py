"""How many rows of the database at hand a change concerns."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import reason, sqlstate

_PATIENCE = "5s"  # a count is information, not worth more
_CANCELED = "57014"  # query_canceled


def connection_of(context: MigrationContext) -> sa.Connection:
    """Return the connection, which autogenerate cannot be without."""
    assert context.connection is not None  # noqa: S101
    return context.connection


class Count(NamedTuple):
    number: int | None
    problem: str = ""  # why there is no number
    is_of_rows: bool = False  # the values themselves are the problem


def count(context: MigrationContext, table: sa.FromClause, *conditions: Any) -> Count:
    """Count the rows that meet all conditions, if that neither fails nor takes too long."""
    connection = connection_of(context)
    query = sa.select(sa.func.count()).select_from(table).where(*conditions)
    try:
        with connection.begin_nested() as savepoint:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL statement_timeout = '{_PATIENCE}'"))
            found = connection.scalar(query)
            savepoint.rollback()  # the timeout too
    except DBAPIError as error:
        return _failed(error)
    return Count(found)


def _failed(error: DBAPIError) -> Count:
    state = sqlstate(error)
    if state == _CANCELED:
        return Count(None, f"counting them took more than {_PATIENCE}")
    return Count(None, reason(error), state.startswith("22"))


def rows_of(context: MigrationContext, schema: str | None, table: str) -> str:
    """Return such as "2,000 rows"."""
    return amount(count(context, sa.table(table, schema=schema)), "row")


def amount(counted: Count, noun: str) -> str:
    """Return "1 row", "2,000 rows" or "an unknown number of rows", with the reason."""
    number = counted.number
    if number is None:
        return f"an unknown number of {noun}s, {counted.problem}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
