"""How many rows of the database at hand a change concerns."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

PATIENCE = "5s"  # a count is information, not worth more


def count(connection: sa.Connection, table: sa.FromClause, *conditions: Any) -> int | None:
    """Count the rows that meet all conditions; None if it takes too long."""
    try:
        with connection.begin_nested():
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL statement_timeout = '{PATIENCE}'"))
            query = sa.select(sa.func.count()).select_from(table).where(*conditions)
            found = connection.scalar(query)
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL statement_timeout = DEFAULT"))
            return found
    except DBAPIError:
        return None


def amount(number: int | None, noun: str) -> str:
    """Return "1 row", "2,000 rows" or "an unknown number of rows"."""
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
