"""CHECK constraints whose condition changed under the same name, which Alembic does not compare.

Loaded by Alembic as an autogenerate plugin. PostgreSQL rewrites a condition when it stores it, so
the model's is stored too, on an empty temporary copy, and the two stored forms are compared.
"""

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from sqlalchemy.exc import SQLAlchemyError

from alembic_online import postgresql
from alembic_online.revise.comparators import compare_tables
from alembic_online.revise.counting import connection_of
from alembic_online.revise.plain_checks import checks_of
from alembic_online.revise.rendering import escape_colons, sql_text
from alembic_online.revise.trial import empty_copy

_TRIAL = "check_trial"
_CONDITIONS = sa.text(
    "SELECT conname, pg_get_expr(conbin, conrelid) AS condition FROM pg_constraint"
    " WHERE contype = 'c' AND conrelid = to_regclass(:table)"
)


def setup(plugin: Plugin) -> None:
    compare_tables(plugin, "check_conditions", _compare_conditions)


def _compare_conditions(
    context: AutogenContext, changes: ops.ModifyTableOps, found: sa.Table, wanted: sa.Table
) -> None:
    connection = connection_of(context.migration_context)
    checks = checks_of(wanted)
    stored = conditions_of(connection, found) if checks else {}
    for constraint in checks:
        old = stored.get(str(constraint.name))
        new = condition_as_stored(connection, found, constraint.sqltext) if old else None
        if old is not None and new not in {old, None}:
            before = sa.CheckConstraint(sa.text(escape_colons(old)), name=constraint.name)
            found.append_constraint(before)
            changes.ops.append(ops.DropConstraintOp.from_constraint(before))
            changes.ops.append(ops.AddConstraintOp.from_constraint(constraint))


def conditions_of(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    rows = connection.execute(_CONDITIONS, {"table": postgresql.quoted(connection.dialect, table)})
    return {row.conname: row.condition for row in rows}


def condition_as_stored(
    connection: sa.Connection, table: sa.TableClause | sa.Table, condition: sa.ClauseElement
) -> str | None:
    """Return how PostgreSQL would show a condition; None if the table cannot have it yet."""
    dialect = connection.dialect
    try:
        with empty_copy(connection, table) as copy:
            name = escape_colons(postgresql.quoted(dialect, copy))
            sql = (
                f"ALTER TABLE {name} ADD CONSTRAINT {_TRIAL} CHECK ({sql_text(condition, dialect)})"
            )
            connection.execute(sa.text(sql))
            return conditions_of(connection, copy)[_TRIAL]
    except SQLAlchemyError:
        return None
