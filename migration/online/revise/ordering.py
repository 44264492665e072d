"""The same order of operations on every run, and one that foreign keys allow."""

from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp

from migration.online.revise.walking import each, table_of

_Table = tuple[str | None, str | None]


def settle_order(upgrade: ops.UpgradeOps) -> None:
    """Sort what Alembic takes from sets, and tables that go by who refers to whom."""
    for table in upgrade.ops:
        if isinstance(table, ops.ModifyTableOps):
            table.ops = _sorted_runs(table.ops)
    _drop_referring_tables_first(upgrade)
    upgrade.ops.sort(key=lambda op: not isinstance(op, AddEnumValuesOp))  # defaults may use them


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
    if len(drops) <= 1:
        return
    referring: dict[_Table, set[_Table]] = {name: set() for name in sorted(drops, key=str)}
    for name, op in drops.items():
        for target in _targets(op):
            if target in drops and target != name:
                referring[target].add(name)
    try:
        order = list(TopologicalSorter(referring).static_order())
    except CycleError:
        order = list(referring)
        _cut_foreign_keys(upgrade, drops)
    rest = [op for op in upgrade.ops if op not in drops.values()]
    upgrade.ops[:] = [*rest, *(drops[name] for name in order)]


def _targets(op: ops.DropTableOp) -> list[_Table]:
    targets: list[_Table] = []
    for constraint in op.to_table().foreign_key_constraints:
        *schema, table, _ = constraint.elements[0].target_fullname.split(".")
        targets.append((schema[0] if schema else None, table))
    return targets


def _cut_foreign_keys(upgrade: ops.UpgradeOps, drops: dict[Any, ops.DropTableOp]) -> None:
    """Tables that refer to each other can only go when their foreign keys are gone."""
    for (schema, name), op in sorted(drops.items(), key=str):
        table = op.to_table()
        keys = sorted(table.foreign_key_constraints, key=lambda key: str(key.name))
        cuts: list[ops.MigrateOperation] = [ops.DropConstraintOp.from_constraint(k) for k in keys]
        upgrade.ops.append(ops.ModifyTableOps(str(name), cuts, schema=schema))


def separate_circular_keys(upgrade: ops.UpgradeOps) -> None:
    """Make the foreign keys that close a circle after all tables."""
    circular: list[ops.MigrateOperation] = []
    for table in each(upgrade):
        if isinstance(table, ops.CreateTableOp):
            keys = [item for item in table.columns if _is_circular(item)]
            table.columns = [item for item in table.columns if item not in keys]
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
