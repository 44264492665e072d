"""How many rows of the database at hand a change concerns."""

from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

_PATIENCE = "5s"  # a count is information, not worth more


def connection_of(context: MigrationContext) -> sa.Connection:
    """Return the connection, which autogenerate cannot be without."""
    assert context.connection is not None  # noqa: S101
    return context.connection


def count(context: MigrationContext, table: sa.FromClause, *conditions: Any) -> int | None:
    """Count the rows that meet all conditions; None if that fails or takes too long."""
    connection = connection_of(context)
    query = sa.select(sa.func.count()).select_from(table).where(*conditions)
    try:
        with connection.begin_nested() as savepoint:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL statement_timeout = '{_PATIENCE}'"))
            found = connection.scalar(query)
            savepoint.rollback()  # the timeout too
    except DBAPIError:
        return None
    return found


def rows_of(context: MigrationContext, schema: str | None, table: str) -> str:
    """Return such as "2,000 rows"."""
    return amount(count(context, sa.table(table, schema=schema)), "row")


def amount(number: int | None, noun: str) -> str:
    """Return "1 row", "2,000 rows" or "an unknown number of rows"."""
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
