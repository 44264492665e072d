"""What a change would lose, break or block: refused until it is allowed."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from migration.online.revise.adding import review_added_column, review_defaults
from migration.online.revise.answers import Answers
from migration.online.revise.counting import amount, count
from migration.online.revise.dependents import review_dependents
from migration.online.revise.removals import review_removals
from migration.online.revise.retyping import review_altered_column
from migration.online.revise.walking import each, label


def review_risks(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Put every dangerous operation to `answers`."""
    for op in each(upgrade):
        for kind, assess in _ASSESSMENTS.items():
            if isinstance(op, kind):
                assess(context, op, answers)
    review_removals(context, upgrade, answers)
    review_dependents(context, upgrade, answers)
    review_defaults(context, upgrade, answers)


def _drop_table(context: MigrationContext, op: ops.DropTableOp, answers: Answers) -> None:
    rows = count(context, sa.table(op.table_name, schema=op.schema))
    lost = amount(rows, "row")
    effect = f"drops the table and its data ({lost}), and breaks app versions that still use it"
    answers.allow("drop", label(op.schema, op.table_name), effect)


def _drop_column(context: MigrationContext, op: ops.DropColumnOp, answers: Answers) -> None:
    values = count(
        context,
        sa.table(op.table_name, schema=op.schema),
        sa.column(op.column_name).is_not(None),
    )
    lost = amount(values, "value")
    effect = f"drops the column and its data ({lost}), and breaks app versions that still read it"
    answers.allow("drop", label(op.schema, op.table_name, op.column_name), effect)


def _sync_enum(context: MigrationContext, op: SyncEnumValuesOp, answers: Answers) -> None:
    gone = [value for value in op.old_values if value not in op.new_values]
    for reference in op.affected_columns:
        table = sa.table(reference.table_name, schema=reference.table_schema)
        column = sa.cast(sa.column(reference.column_name), sa.Text)
        used = amount(count(context, table, column.in_(gone)), "row")
        schema = reference.table_schema
        default = context.dialect.default_schema_name
        subject = label(
            None if schema == default else schema, reference.table_name, reference.column_name
        )
        effect = (
            f"makes the type {op.name} anew without {', '.join(gone) or 'its order'} ({used} use"
            " it and must be changed before), and rewrites the whole table"
        )
        answers.allow("rewrite", subject, effect)


_ASSESSMENTS: dict[type, Callable[[MigrationContext, Any, Answers], None]] = {
    ops.DropTableOp: _drop_table,
    ops.DropColumnOp: _drop_column,
    ops.AddColumnOp: review_added_column,
    ops.AlterColumnOp: review_altered_column,
    SyncEnumValuesOp: _sync_enum,
}
