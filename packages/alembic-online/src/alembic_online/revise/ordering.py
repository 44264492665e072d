"""The same order of operations on every run, and one that foreign keys allow."""

from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp

from alembic_online.revise.enum_renames import RenameMember, RenameType
from alembic_online.revise.operations import RenameColumn, RenameConstraint, RenameTable
from alembic_online.revise.walking import Table, each, table_of


def settle_order(upgrade: ops.UpgradeOps) -> None:
    """Sort what Alembic takes from sets, and tables that go by who refers to whom."""
    for table in upgrade.ops:
        if isinstance(table, ops.ModifyTableOps):
            table.ops = _sorted_runs(table.ops)
    _drop_referring_tables_first(upgrade)
    upgrade.ops.sort(key=_turn)


def _turn(op: ops.MigrateOperation) -> int:
    """Have renames first, as all else uses the new names; then members that defaults may use."""
    inner = op.ops[0] if isinstance(op, ops.ModifyTableOps) and op.ops else op
    if isinstance(inner, RenameTable | RenameColumn | RenameConstraint | RenameType | RenameMember):
        return 0
    return 1 if isinstance(op, AddEnumValuesOp) else 2


def _sorted_runs(operations: list[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Sort neighbours of one kind by name; created columns keep the model's order."""
    result: list[ops.MigrateOperation] = []
    for kind, run in groupby(operations, type):
        neighbours = list(run)
        if issubclass(kind, ops.DropColumnOp | ops.DropConstraintOp | ops.DropIndexOp) or (
            issubclass(kind, ops.AddConstraintOp | ops.CreateIndexOp)
        ):
            neighbours.sort(key=_name)
        result.extend(neighbours)
    return result


def _name(op: Any) -> str:
    names = (getattr(op, field, None) for field in ("column_name", "constraint_name", "index_name"))
    return next((str(name) for name in names if name), "")


def _drop_referring_tables_first(upgrade: ops.UpgradeOps) -> None:
    drops = {table_of(op): op for op in upgrade.ops if isinstance(op, ops.DropTableOp)}
    changes = [
        op for op in upgrade.ops if isinstance(op, ops.ModifyTableOps) and table_of(op) in drops
    ]
    changes.sort(key=lambda op: str(table_of(op)))
    order, is_circular = _order(drops)
    cuts = _without_foreign_keys(drops) if is_circular else []
    rest = [op for op in upgrade.ops if table_of(op) not in drops]
    upgrade.ops[:] = [*rest, *changes, *cuts, *(drops[name] for name in order)]


def _order(drops: dict[Table, ops.DropTableOp]) -> tuple[list[Table], bool]:
    names = sorted(drops, key=str)
    sorter: TopologicalSorter[Table] = TopologicalSorter()
    for name in names:
        sorter.add(name)
    for name in names:
        for target in sorted(_targets(drops[name]), key=str):
            if target in drops and target != name:
                sorter.add(target, name)
    try:
        return list(sorter.static_order()), False
    except CycleError:
        return names, True


def _targets(op: ops.DropTableOp) -> list[Table]:
    targets: list[Table] = []
    for constraint in op.to_table().foreign_key_constraints:
        *schema, table, _ = constraint.elements[0].target_fullname.split(".")
        targets.append((schema[0] if schema else None, table))
    return targets


def _without_foreign_keys(drops: dict[Table, ops.DropTableOp]) -> list[ops.ModifyTableOps]:
    """Tables that refer to each other can only go when their foreign keys are gone."""
    cuts = []
    for (schema, name), op in sorted(drops.items(), key=str):
        keys = sorted(op.to_table().foreign_key_constraints, key=lambda key: str(key.name))
        changes: list[ops.MigrateOperation] = [
            ops.DropConstraintOp.from_constraint(k) for k in keys
        ]
        cuts.append(ops.ModifyTableOps(str(name), changes, schema=schema))
    return cuts


def separate_circular_keys(upgrade: ops.UpgradeOps) -> None:
    """Make the foreign keys that close a circle after all tables."""
    circular: list[ops.MigrateOperation] = []
    for table in each(upgrade):
        if isinstance(table, ops.CreateTableOp):
            keys = [item for item in table.columns if _is_circular(item)]
            table.columns = [item for item in table.columns if not _is_circular(item)]
            changes: list[ops.MigrateOperation] = []
            for key in keys:
                change = ops.AddConstraintOp.from_constraint(key)  # type: ignore[arg-type]
                assert isinstance(change, ops.CreateForeignKeyOp)  # noqa: S101  # by `keys`
                change.kw["use_alter"] = None
                changes.append(change)
            if changes:
                changes.sort(key=_name)
                circular.append(ops.ModifyTableOps(table.table_name, changes, schema=table.schema))
    upgrade.ops.extend(circular)


def make_each_key_once(downgrade: ops.DowngradeOps) -> None:
    """Leave those foreign keys out of tables that are made after them."""
    separate = {
        op.constraint_name for op in each(downgrade) if isinstance(op, ops.CreateForeignKeyOp)
    }
    for op in each(downgrade):
        if isinstance(op, ops.CreateTableOp):
            op.columns = [item for item in op.columns if not _is_key(item, separate)]


def _is_key(item: Any, names: set[Any]) -> bool:
    return isinstance(item, sa.ForeignKeyConstraint) and item.name in names


def _is_circular(item: Any) -> bool:
    return isinstance(item, sa.ForeignKeyConstraint) and bool(item.use_alter)


def drop_indexes_with_their_table(side: ops.OpContainer) -> None:
    """Leave the indexes of dropped tables to their tables."""
    dropped = {table_of(op) for op in each(side) if isinstance(op, ops.DropTableOp)}
    for table in side.ops:
        if isinstance(table, ops.ModifyTableOps) and table_of(table) in dropped:
            table.ops = [op for op in table.ops if not isinstance(op, ops.DropIndexOp)]
    side.ops[:] = [
        op
        for op in side.ops
        if not (isinstance(op, ops.DropIndexOp) and table_of(op) in dropped)
        and not (isinstance(op, ops.ModifyTableOps) and not op.ops)
    ]
