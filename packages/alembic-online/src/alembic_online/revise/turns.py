"""Whose turn it is: each operation after what it needs, and each removal after its replacement.

The downgrade is the same list backwards, so that it too makes things before it takes others away.
"""

from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.operations import ops
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from alembic_online.revise.operations import RenameColumn
from alembic_online.revise.walking import table_of

_ADDED = (ops.CreateIndexOp, ops.CreateUniqueConstraintOp)
# What foreign keys refer to is made before them, and goes after them.
_TURNS = [
    "create type",
    "add column",
    "alter column",
    "add generated column",
    "add index",
    "create table",
    "add index of new table",
    "add foreign key or check",
    "drop foreign key or check",
    "drop table",
    "drop index",
    "drop generated column",
    "drop column",
    "remake type",
    "drop type",
]


def take_turns(upgrade: ops.UpgradeOps) -> None:
    """Sort all operations behind the renames, across tables."""
    flat = [found for op in upgrade.ops for found in _flat(op)]
    new = {each.table for each in flat if isinstance(each.op, ops.CreateTableOp)}
    gone = {each.table for each in flat if isinstance(each.op, ops.DropTableOp)}
    turns = [_turn(each.op, is_new=each.table in new, is_gone=each.table in gone) for each in flat]
    first = next((at for at, turn in enumerate(turns) if turn), len(turns))
    settled = [turn or ("" if at < first else "alter column") for at, turn in enumerate(turns)]
    order = {turn: at for at, turn in enumerate(["", *_TURNS])}
    ranked = sorted(zip(settled, flat, strict=True), key=lambda pair: order[pair[0]])
    upgrade.ops[:] = _grouped([each for _, each in ranked])


class _Operation(NamedTuple):
    table: tuple[str | None, str | None]
    op: ops.MigrateOperation
    is_inner: bool  # of `ModifyTableOps`


def _flat(op: ops.MigrateOperation) -> list[_Operation]:
    if isinstance(op, ops.ModifyTableOps):
        return [_Operation(table_of(op), inner, is_inner=True) for inner in op.ops]
    return [_Operation(table_of(op), op, is_inner=False)]


def _turn(op: Any, *, is_new: bool, is_gone: bool) -> str | None:
    """Name the turn; None leaves the operation where others have put it."""
    if isinstance(op, ops.AddColumnOp | ops.DropColumnOp):
        return _column_turn(op)
    if isinstance(op, _ADDED):
        return "add index of new table" if is_new else "add index"
    if isinstance(op, ops.AddConstraintOp):
        return "add foreign key or check"
    if isinstance(op, ops.DropConstraintOp | ops.DropIndexOp):
        is_needed = isinstance(op, ops.DropIndexOp) or op.constraint_type in {"unique", "primary"}
        return "drop index" if is_needed and not is_gone else "drop foreign key or check"
    if isinstance(op, ops.AlterColumnOp) and not isinstance(op, RenameColumn):
        return "alter column"
    return next((turn for kind, turn in _KINDS.items() if isinstance(op, kind)), None)


_KINDS: dict[type, str] = {
    CreateEnumOp: "create type",
    ops.CreateTableOp: "create table",
    ops.DropTableOp: "drop table",
    SyncEnumValuesOp: "remake type",
    DropEnumOp: "drop type",
}


def _column_turn(op: ops.AddColumnOp | ops.DropColumnOp) -> str:
    if isinstance(op, ops.AddColumnOp):
        is_generated = isinstance(op.column.server_default, sa.Computed)
        return "add generated column" if is_generated else "add column"
    is_generated = isinstance(op.to_column().server_default, sa.Computed)
    return "drop generated column" if is_generated else "drop column"


def _grouped(flat: list[_Operation]) -> list[ops.MigrateOperation]:
    """Put neighbours of one table under it again."""
    result: list[ops.MigrateOperation] = []
    for ((schema, table), is_inner), run in groupby(flat, key=_owner):
        found = [each.op for each in run]
        result.extend([ops.ModifyTableOps(str(table), found, schema=schema)] if is_inner else found)
    return result


def _owner(each: _Operation) -> tuple[tuple[str | None, str | None], bool]:
    return each.table, each.is_inner
