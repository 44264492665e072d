"""A revision that is decided, put into an order that runs, proven, and given its way back."""

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.downgrades import complete_downgrade
from alembic_online.revise.enums import settle_enum_columns
from alembic_online.revise.ordering import (
    drop_indexes_with_their_table,
    make_each_key_once,
    separate_circular_keys,
)
from alembic_online.revise.partitions import keep_partitioning
from alembic_online.revise.schemas import create_schemas
from alembic_online.revise.sequences import widen_sequences
from alembic_online.revise.shrinking import check_before_shrinking
from alembic_online.revise.swapping import swap_what_is_redefined
from alembic_online.revise.turns import take_turns
from alembic_online.revise.using import one_way_columns, settle_way_back
from alembic_online.revise.walking import each


def complete(
    context: MigrationContext, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps
) -> None:
    is_postgresql = context.dialect.name == "postgresql"
    for op in each(upgrade):
        if isinstance(op, ops.AlterColumnOp):
            op.kw.pop("autoincrement", None)  # MySQL's; the others warn about it
    settle_enum_columns(upgrade, context.dialect.default_schema_name)
    if is_postgresql:
        take_turns(upgrade)
        separate_circular_keys(upgrade)
        widen_sequences(context, upgrade)
    complete_downgrade(upgrade, downgrade)
    if is_postgresql:
        settle_way_back(context, downgrade, one_way_columns(context, upgrade))
    make_each_key_once(downgrade)
    for side in (upgrade, downgrade):
        drop_indexes_with_their_table(side)
        if is_postgresql:
            swap_what_is_redefined(side)
            check_before_shrinking(side, context.dialect.identifier_preparer)
    if is_postgresql:
        create_schemas(context, upgrade)
        keep_partitioning(context, downgrade)
