"""Partitioned tables that a downgrade brings back, which reflection shows as plain ones."""

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.postgresql import quote
from alembic_online.revise.counting import connection_of
from alembic_online.revise.operations import Remark
from alembic_online.revise.walking import each, label

_KEY = sa.text("SELECT pg_get_partkeydef(CAST(to_regclass(:table) AS oid))")


def keep_partitioning(context: MigrationContext, downgrade: ops.DowngradeOps) -> None:
    remarks = []
    for op in each(downgrade):
        if isinstance(op, ops.CreateTableOp):
            table = quote(context.dialect, op.schema, op.table_name)
            if key := connection_of(context).scalar(_KEY, {"table": table}):
                op.kw["postgresql_partition_by"] = key
                subject = label(op.schema, op.table_name)
                remarks.append(Remark(f"WARNING: {subject} comes back without its partitions."))
    downgrade.ops[:0] = remarks
