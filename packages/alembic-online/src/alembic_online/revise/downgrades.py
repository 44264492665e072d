"""The way back: complete, and honest about what does not come back."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from alembic_online.revise.operations import Remark
from alembic_online.revise.walking import each, label


def complete_downgrade(upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    """Write the reverse of `upgrade`, with a remark for each thing that is lost for good."""
    upgrade.reverse_into(downgrade)
    remarks: list[str] = []
    for op in each(downgrade):
        remarks.extend(_warnings(op))
    downgrade.ops[:0] = [Remark(f"WARNING: {text}") for text in remarks]


def _warnings(op: Any) -> list[str]:  # noqa: PLR0911  # one a kind
    subject = label(getattr(op, "schema", None), getattr(op, "table_name", None) or "")
    if isinstance(op, ops.AddColumnOp):
        return [_bring_back(op, f"{subject}.{op.column.name}")]
    if isinstance(op, ops.CreateTableOp):
        return [f"{subject} comes back empty, its rows are gone."]
    if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
        return [f"{subject}.{op.column_name} is required again: rows without a value stop this."]
    if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
        column = f"{subject}.{op.column_name}"
        return [f"{column} gets its old type: values that do not fit stop this, or are cut."]
    if isinstance(op, SyncEnumValuesOp):
        return [f"the type {op.name} is made anew: rows that use what it loses stop this."]
    if isinstance(op, ops.CreateUniqueConstraintOp | ops.CreateCheckConstraintOp):
        name = op.constraint_name
        return [f"{name} is checked again: rows that break it stop this."]
    return []


def _bring_back(op: ops.AddColumnOp, subject: str) -> str:
    """Make the column optional if its old rows cannot have a value."""
    column = op.column
    if isinstance(column.server_default, sa.Computed):
        return f"{subject} is computed anew."
    if column.server_default is not None:
        return f"{subject} comes back with its default, its values are gone."
    if column.nullable:
        return f"{subject} comes back empty, its values are gone."
    op.column = _optional(column)
    return f"{subject} comes back optional and empty, its values are gone; it was required."


def _optional(column: sa.Column[Any]) -> sa.Column[Any]:
    return sa.Column(column.name, column.type, nullable=True, comment=column.comment)
