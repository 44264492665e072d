"""What a change would lose, break or block: refused until it is allowed."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum import ColumnType, TableReference
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from sqlalchemy.dialects import postgresql

from alembic_online.revise.adding import review_added_column, review_defaults
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import amount, count
from alembic_online.revise.dependents import review_dependents
from alembic_online.revise.removals import review_removals
from alembic_online.revise.retyping import review_altered_column
from alembic_online.revise.unmanaged import advice
from alembic_online.revise.walking import each, label, short_schema


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
    subject = label(op.schema, op.table_name)
    answers.allow("drop", subject, effect, advice(subject))


def _drop_column(context: MigrationContext, op: ops.DropColumnOp, answers: Answers) -> None:
    values = count(
        context,
        sa.table(op.table_name, schema=op.schema),
        sa.column(op.column_name).is_not(None),
    )
    lost = amount(values, "value")
    effect = f"drops the column and its data ({lost}), and breaks app versions that still read it"
    subject = label(op.schema, op.table_name, op.column_name)
    answers.allow("drop", subject, effect, advice(subject))


def _sync_enum(context: MigrationContext, op: SyncEnumValuesOp, answers: Answers) -> None:
    gone = [value for value in op.old_values if value not in op.new_values]
    for reference in op.affected_columns:
        table = sa.table(reference.table_name, schema=reference.table_schema)
        used = amount(count(context, table, _holds(reference, gone)), "row")
        schema = short_schema(context, reference.table_schema)
        subject = label(schema, reference.table_name, reference.column_name)
        effect = (
            f"makes the type {op.name} anew without {', '.join(gone) or 'its order'} ({used} use"
            " it and must be changed before), and rewrites the whole table"
        )
        answers.allow("rewrite", subject, effect)


def _holds(reference: TableReference, members: list[str]) -> sa.ColumnElement[bool]:
    column: sa.ColumnClause[Any] = sa.column(reference.column_name)
    if reference.column_type is ColumnType.ARRAY:
        texts = postgresql.ARRAY(sa.Text)
        return sa.cast(column, texts).bool_op("&&")(sa.cast(members, texts))
    return sa.cast(column, sa.Text).in_(members)


_ASSESSMENTS: dict[type, Callable[[MigrationContext, Any, Answers], None]] = {
    ops.DropTableOp: _drop_table,
    ops.DropColumnOp: _drop_column,
    ops.AddColumnOp: review_added_column,
    ops.AlterColumnOp: review_altered_column,
    SyncEnumValuesOp: _sync_enum,
}
