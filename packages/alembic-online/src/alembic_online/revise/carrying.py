"""The default of a new column while the old one is there: the same value, converted."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import literal, quote, statement
from alembic_online.revise.comparing import CONSTANT
from alembic_online.revise.conversions import Ways
from alembic_online.revise.counting import connection_of
from alembic_online.revise.rendering import sql_text

# The same for a whole transaction, so that both columns get the same.
_STABLE = re.compile(r"now\(\)|current_(timestamp|date)", re.IGNORECASE)


def carried_default(
    context: MigrationContext, old: sa.Column[Any], new: sa.Column[Any], ways: Ways
) -> sa.DefaultClause | None:
    """Return the default by which an INSERT is known that does not name the new column.

    Whichever version inserts without a value, both columns then get theirs, in step. Where the old
    column has no default, but always a value, the model's own tells as much.
    """
    wanted = new.server_default if isinstance(new.server_default, sa.DefaultClause) else None
    if not isinstance(old.server_default, sa.DefaultClause):
        return None if old.nullable else wanted
    found = default_sql(context, old.server_default)
    if CONSTANT.fullmatch(found):
        return _same(context, old, new, ways, found, wanted)
    is_stable = _STABLE.fullmatch(found) and ways.there.is_plain and ways.there.is_sure
    return old.server_default if is_stable else None


def default_sql(context: MigrationContext, default: sa.DefaultClause) -> str:
    """Return the SQL of a default."""
    argument: Any = default.arg
    if isinstance(argument, str):
        return literal(argument)
    if isinstance(argument, sa.TextClause):
        return argument.text
    return sql_text(argument, context.dialect).replace("\\:", ":")


def _same(  # noqa: PLR0913, PLR0917  # both ends, what is between them, and what is compared
    context: MigrationContext,
    old: sa.Column[Any],
    new: sa.Column[Any],
    ways: Ways,
    found: str,
    wanted: sa.DefaultClause | None,
) -> sa.DefaultClause | None:
    """Convert a constant; the model's default stands for it if it is the same."""
    if context.dialect.name != "postgresql":
        return None
    types = [column.type.compile(dialect=context.dialect) for column in (old, new)]
    name = quote(context.dialect, old.name)
    value = f"SELECT {ways.there.sql} FROM (SELECT CAST({found} AS {types[0]}) AS {name}) AS old"  # noqa: S608  # of the catalogue
    converted = _text(context, f"({value})", types[1])
    if converted is None:
        return None
    if wanted is not None and _text(context, default_sql(context, wanted), types[1]) == converted:
        return wanted
    return sa.DefaultClause(converted)


def _text(context: MigrationContext, sql: str, type_: str) -> str | None:
    """Return a value as PostgreSQL shows it in its type; None for NULL, and for what it refuses."""
    connection = connection_of(context)
    try:
        with connection.begin_nested():
            shown = statement(f"SELECT CAST(CAST({sql} AS {type_}) AS text)")
            text: str | None = connection.scalar(shown)
            return text
    except DBAPIError:
        return None
