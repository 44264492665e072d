"""What the revision will do: each operation, its lock, its work, and how many rows there are."""

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.counting import connection_of, rows_of
from alembic_online.revise.effects import Effect, effect_of
from alembic_online.revise.walking import each, label, table_of


def plan_of(context: MigrationContext, upgrade: ops.UpgradeOps) -> str:
    """Describe the upgrade; the database at hand tells the numbers of rows."""
    new = {table_of(op) for op in each(upgrade) if isinstance(op, ops.CreateTableOp)}
    effects = [effect_of(context, op, is_new=table_of(op) in new) for op in each(upgrade)]
    lines = ["This revision will", *_aligned(effects), *_sizes(context, upgrade)]
    return "\n".join(lines)


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
