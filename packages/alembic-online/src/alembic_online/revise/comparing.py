"""Whether the database's default is the model's: by value, never by an error."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import literal
from alembic_online.revise.counting import connection_of
from alembic_online.revise.identities import compare_identity
from alembic_online.revise.models import complete_for_comparison
from alembic_online.revise.rendering import sql_text
from alembic_online.revise.uncompared import note_generated

# A constant as PostgreSQL and SQLite show it: evaluating it has no effect and one result.
CONSTANT = re.compile(
    r"""\(?(?:'(?:[^']|'')*'|-?[\d.]+|true|false|null)\)?(?:::[\w ."\[\]]+)?""", re.IGNORECASE
)


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(_complete, "autogenerate", priority=DispatchPriority.FIRST)
    plugin.add_autogenerate_comparator(
        _compare_defaults, "column", "server_default", priority=DispatchPriority.FIRST
    )


def _complete(context: AutogenContext, _: ops.UpgradeOps) -> PriorityDispatchResult:
    complete_for_comparison(
        context.migration_context.opts["target_metadata"], context.migration_context.dialect
    )
    return PriorityDispatchResult.CONTINUE


def _compare_defaults(  # noqa: PLR0913, PLR0917  # the signature of Alembic's comparators
    context: AutogenContext,
    change: ops.AlterColumnOp,
    schema: str | None,  # noqa: ARG001
    table: str,  # noqa: ARG001
    name: str,  # noqa: ARG001
    found: sa.Column[Any],
    wanted: sa.Column[Any],
) -> PriorityDispatchResult:
    """Compare constants; everything else is left to Alembic.

    A default that left the model stays in the database: the version that runs during the upgrade
    may rely on it.
    """
    change.existing_server_default = found.server_default
    if sa.Identity in {type(found.server_default), type(wanted.server_default)}:
        if context.migration_context.dialect.name == "postgresql":  # others have none
            compare_identity(change, found, wanted)
        return PriorityDispatchResult.STOP
    if sa.Computed in {type(found.server_default), type(wanted.server_default)}:
        if context.migration_context.dialect.name != "postgresql":  # for which see keys.py
            note_generated(context.migration_context, change, found, wanted)
        return PriorityDispatchResult.STOP
    if wanted.server_default is None and isinstance(found.server_default, sa.DefaultClause):
        return PriorityDispatchResult.STOP
    old, new = _constant(found.server_default, context), _constant(wanted.server_default, context)
    if old is None or new is None:
        return PriorityDispatchResult.CONTINUE
    if not _is_equal(context, found, wanted, old, new):
        change.modify_server_default = wanted.server_default
    return PriorityDispatchResult.STOP


def _constant(
    default: sa.FetchedValue | None, context: AutogenContext
) -> sa.ColumnElement[Any] | None:
    if not isinstance(default, sa.DefaultClause):
        return None
    if isinstance(default.arg, str):
        return sa.literal_column(literal(default.arg))
    expression: Any = default.arg
    sql = expression.text if default.reflected else sql_text(expression, context.dialect)
    return sa.literal_column(sql) if CONSTANT.fullmatch(sql) else None


def _is_equal(
    context: AutogenContext,
    inspected: sa.Column[Any],
    column: sa.Column[Any],
    found: sa.ColumnElement[Any],
    wanted: sa.ColumnElement[Any],
) -> bool:
    """Let the database read both as the column's type and compare what it would show."""
    connection = connection_of(context.migration_context)
    if connection.dialect.name == "postgresql" and not context.migration_context.impl.compare_type(
        inspected, column
    ):
        wanted = sa.cast(wanted, inspected.type)
        found = sa.cast(found, inspected.type)
    same = sa.cast(found, sa.Text).is_not_distinct_from(sa.cast(wanted, sa.Text))
    try:
        with connection.begin_nested():
            return bool(connection.scalar(sa.select(same)))
    except DBAPIError:  # such as an enum member that the type does not have yet
        return False
