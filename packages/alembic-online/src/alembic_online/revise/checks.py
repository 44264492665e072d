"""CHECK constraints whose condition changed under the same name, which Alembic does not compare.

Loaded by Alembic as an autogenerate plugin. PostgreSQL rewrites a condition when it stores it, so
the model's is stored too, on an empty temporary copy, and the two stored forms are compared.
"""

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint

from alembic_online.revise.rendering import escape_colons
from alembic_online.revise.trial import empty_copy

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
    checks = sorted(_checks(wanted), key=lambda check: str(check.name))
    stored = _conditions(context.connection, found) if checks else {}
    for constraint in checks:
        old = stored.get(str(constraint.name))
        if old is not None and _as_stored(context.connection, constraint) not in {old, None}:
            before = sa.CheckConstraint(sa.text(escape_colons(old)), name=constraint.name)
            found.append_constraint(before)
            changes.ops.append(ops.DropConstraintOp.from_constraint(before))
            changes.ops.append(ops.AddConstraintOp.from_constraint(constraint))
    return PriorityDispatchResult.CONTINUE


def _checks(table: sa.Table) -> list[sa.CheckConstraint]:
    return [check for check in table.constraints if isinstance(check, sa.CheckConstraint)]


def _conditions(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    name = connection.dialect.identifier_preparer.format_table(table).replace("%%", "%")
    rows = connection.execute(_CONDITIONS, {"table": name})
    return {row.conname: row.condition for row in rows}


def _as_stored(connection: sa.Connection, constraint: sa.CheckConstraint) -> str | None:
    """Return how PostgreSQL would show the condition; None if the table cannot have it yet."""
    try:
        with empty_copy(connection, constraint.table) as copy:
            trial = sa.CheckConstraint(constraint.sqltext, name="check_trial", table=copy)
            connection.execute(AddConstraint(trial))
            return _conditions(connection, copy)["check_trial"]
    except DBAPIError:
        return None
