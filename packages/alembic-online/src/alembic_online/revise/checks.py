"""CHECK constraints whose condition changed under the same name, which Alembic does not compare.

Loaded by Alembic as an autogenerate plugin. PostgreSQL rewrites a condition when it stores it, so
the model's is stored too, on an empty temporary copy, and the two stored forms are compared.
"""

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy.exc import SQLAlchemyError

from alembic_online import postgresql
from alembic_online.revise.plain_checks import checks_of
from alembic_online.revise.rendering import escape_colons, sql_text
from alembic_online.revise.trial import empty_copy

_TRIAL = "check_trial"
_CONDITIONS = sa.text(
    "SELECT conname, pg_get_expr(conbin, conrelid) AS condition FROM pg_constraint"
    " WHERE contype = 'c' AND conrelid = to_regclass(:table)"
)


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(
        _compare_conditions, "table", "check_conditions", qualifier="postgresql"
    )


def _compare_conditions(  # noqa: PLR0913, PLR0917  # the signature of Alembic's comparators
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,  # noqa: ARG001
    name: str,  # noqa: ARG001
    found: sa.Table | None,
    wanted: sa.Table | None,
) -> PriorityDispatchResult:
    if found is None or wanted is None or context.connection is None:
        return PriorityDispatchResult.CONTINUE
    checks = checks_of(wanted)
    stored = _conditions(context.connection, found) if checks else {}
    for constraint in checks:
        old = stored.get(str(constraint.name))
        if old is not None and condition_as_stored(
            context.connection, found, constraint.sqltext
        ) not in {old, None}:
            before = sa.CheckConstraint(sa.text(escape_colons(old)), name=constraint.name)
            found.append_constraint(before)
            changes.ops.append(ops.DropConstraintOp.from_constraint(before))
            changes.ops.append(ops.AddConstraintOp.from_constraint(constraint))
    return PriorityDispatchResult.CONTINUE


def _conditions(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    name = connection.dialect.identifier_preparer.format_table(table).replace("%%", "%")
    rows = connection.execute(_CONDITIONS, {"table": name})
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
            return _conditions(connection, copy)[_TRIAL]
    except SQLAlchemyError:
        return None
