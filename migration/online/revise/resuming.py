"""Flags that let an interrupted revision be run again from its beginning."""

from typing import Any

from alembic.operations import ops
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp

from migration.online.revise.walking import each, table_of

# Carried out in steps of their own on a live table, outside the revision's transaction.
_STEPWISE = (ops.CreateIndexOp, ops.DropIndexOp, ops.AddConstraintOp)


def make_resumable(side: ops.OpContainer) -> None:
    """Make every step harmless the second time if the first run may have committed it."""
    if not _has_steps(side):
        return
    for op in each(side):
        for flag in ("if_exists", "if_not_exists"):
            if hasattr(op, flag) and not isinstance(op, _STEPWISE):
                setattr(op, flag, True)


def _has_steps(side: ops.OpContainer) -> bool:
    whole = {
        table_of(op) for op in each(side) if isinstance(op, ops.CreateTableOp | ops.DropTableOp)
    }
    return any(_is_stepwise(op) and table_of(op) not in whole for op in each(side))


def _is_stepwise(op: Any) -> bool:
    requires = isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False
    return requires or isinstance(op, (*_STEPWISE, AddEnumValuesOp))
