"""Indexes and constraints that are redefined under their old name: the new one is proven first."""

from typing import Any

from alembic.operations import ops
from sqlalchemy.sql.elements import conv

from alembic_online import postgresql
from alembic_online.revise.operations import RenameConstraint
from alembic_online.revise.walking import each, replace_each, table_of

Key = tuple[str | None, str | None, str]


def swap_what_is_redefined(side: ops.OpContainer) -> None:
    """Build it under another name, and swap the names in one transaction.

    Rows that refuse the new one then leave the old one where it is.
    """
    created = {_key(op): op for op in each(side) if _is_created(op)}
    dropped = {_key(op) for op in each(side) if _is_dropped(op)}
    redefined = {key: created[key] for key in created if key in dropped}
    for op in redefined.values():
        rename_to(op, postgresql.shortened(name_of(op), "_new"))
    replace_each(side, lambda op: _steps(op, redefined))


def _is_created(op: ops.MigrateOperation) -> bool:
    return isinstance(op, ops.CreateIndexOp | ops.AddConstraintOp)


def _is_dropped(op: ops.MigrateOperation) -> bool:
    return isinstance(op, ops.DropIndexOp | ops.DropConstraintOp)


def _key(op: ops.MigrateOperation) -> Key:
    return (*table_of(op), name_of(op))


def name_of(op: Any) -> str:
    is_index = isinstance(op, ops.CreateIndexOp | ops.DropIndexOp)
    return str(op.index_name if is_index else op.constraint_name)


def rename_to(op: Any, name: str) -> None:
    setattr(
        op, "index_name" if isinstance(op, ops.CreateIndexOp) else "constraint_name", conv(name)
    )


def _steps(
    op: ops.MigrateOperation, redefined: dict[Key, ops.MigrateOperation]
) -> list[ops.MigrateOperation]:
    if not _is_dropped(op) or _key(op) not in redefined:
        return [op]
    schema, table, name = _key(op)
    new = redefined[_key(op)]
    is_index = isinstance(new, ops.CreateIndexOp | ops.CreateUniqueConstraintOp)
    rename = RenameConstraint(str(table), schema, name_of(new), name, is_index)
    if not isinstance(op, ops.DropIndexOp):
        return [op, rename]
    # An index is dropped CONCURRENTLY, outside of any transaction: not before it was replaced.
    op.index_name = conv(postgresql.shortened(name, "_old"))
    return [RenameConstraint(str(table), schema, name, op.index_name, is_index=True), rename, op]
