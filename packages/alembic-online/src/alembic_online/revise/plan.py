"""What the revision will do: each operation, its lock, its work, and how many rows there are."""

from collections.abc import Container
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.counting import connection_of, rows_of
from alembic_online.revise.effects import Effect, effect_of
from alembic_online.revise.operations import Remark
from alembic_online.revise.walking import each, label, table_of

Place = tuple[str | None, str, str]  # schema, table and column


def plan_of(
    context: MigrationContext,
    upgrade: ops.UpgradeOps,
    heading: str = "This revision will",
    unfilled: Container[Place] = (),
) -> str:
    """Describe the upgrade; the database at hand tells the numbers of rows.

    Columns that are `unfilled` get their values by the revision itself.
    """
    new = {table_of(op) for op in each(upgrade) if isinstance(op, ops.CreateTableOp)}
    effects = [
        effect_of(context, op, is_new=table_of(op) in new, is_counted=not _concerns(op, unfilled))
        for op in each(upgrade)
        if not isinstance(op, Remark)
    ]
    lines = [heading, *_aligned(effects), *_sizes(context, upgrade)]
    return "\n".join(lines)


def _concerns(op: Any, places: Container[Place]) -> bool:
    schema, table = table_of(op)
    columns = [getattr(op, "column_name", None), *(getattr(op, "columns", None) or ())]
    return any((schema, str(table), str(column)) in places for column in columns)


def _aligned(effects: list[Effect]) -> list[str]:
    what = max((len(effect.what) for effect in effects), default=0)
    lock = max((len(effect.lock) for effect in effects), default=0)
    return [f"    {e.what:{what}}  {e.lock:{lock}}  {e.work}".rstrip() for e in effects]


def _sizes(context: MigrationContext, upgrade: ops.UpgradeOps) -> list[str]:
    inspector = sa.inspect(connection_of(context))
    sizes = []
    for schema, name in sorted({table_of(op) for op in each(upgrade)}, key=str):
        if name and inspector.has_table(name, schema):
            sizes.append(f"{label(schema, name)} has {rows_of(context, schema, name)}")
    return [f"In this database {', '.join(sizes)}."] if sizes else []
