"""Whether the database's default is the model's: by value, never by an error."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

# A constant as PostgreSQL and SQLite show it: evaluating it has no effect and one result.
CONSTANT = re.compile(
    r"""\(?(?:'(?:[^']|'')*'|-?[\d.]+|true|false|null)\)?(?:::[\w ."\[\]]+)?""", re.IGNORECASE
)


def compare_server_default(  # noqa: PLR0913, PLR0917  # the signature of Alembic's hook
    context: MigrationContext,
    inspected: sa.Column[Any],
    column: sa.Column[Any],
    found: str | None,
    default: sa.FetchedValue | None,
    rendered: str | None,
) -> bool | None:
    """Return whether the default must be written; None leaves it to Alembic.

    A default that left the model stays in the database: the version that runs during the upgrade
    may rely on it.
    """
    if default is None:
        return False
    if found is None or rendered is None or not CONSTANT.fullmatch(found):
        return None
    is_text = isinstance(default, sa.DefaultClause) and isinstance(default.arg, str)
    if not is_text and not CONSTANT.fullmatch(rendered):
        return None
    wanted: sa.ColumnElement[Any] = sa.literal_column(quote(rendered) if is_text else rendered)
    return not _is_equal(context, inspected, column, sa.literal_column(found), wanted)


def quote(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _is_equal(
    context: MigrationContext,
    inspected: sa.Column[Any],
    column: sa.Column[Any],
    found: sa.ColumnElement[Any],
    wanted: sa.ColumnElement[Any],
) -> bool:
    """Let the database read both as the column's type and compare what it would show."""
    connection = context.connection
    assert connection is not None  # noqa: S101  # autogenerate always has one
    if connection.dialect.name == "postgresql" and not context.impl.compare_type(inspected, column):
        wanted = sa.cast(wanted, inspected.type)
        found = sa.cast(found, inspected.type)
    same = sa.cast(found, sa.Text).is_not_distinct_from(sa.cast(wanted, sa.Text))
    try:
        with connection.begin_nested():
            return bool(connection.scalar(sa.select(same)))
    except DBAPIError:  # such as an enum member that the type does not have yet
        return False
