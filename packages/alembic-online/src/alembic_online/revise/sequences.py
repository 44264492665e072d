"""Sequences of serial columns, which PostgreSQL leaves as they are when the column gets wider."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.postgresql import quote
from alembic_online.revise.counting import connection_of
from alembic_online.revise.operations import AlterSequence
from alembic_online.revise.walking import replace_each


def widen_sequences(context: MigrationContext, upgrade: ops.UpgradeOps) -> None:
    """Let the sequence of each integer column that becomes a bigint count as far."""
    replace_each(upgrade, lambda op: (op, *_sequences(context, op)))


def _sequences(context: MigrationContext, op: ops.MigrateOperation) -> list[AlterSequence]:
    if not (isinstance(op, ops.AlterColumnOp) and isinstance(op.modify_type, sa.BigInteger)):
        return []
    if isinstance(op.existing_server_default, sa.Identity):  # PostgreSQL takes care of these
        return []
    old: Any = op.existing_type
    name = quote(context.dialect, op.schema, op.table_name)
    query = sa.select(sa.func.pg_get_serial_sequence(name, op.column_name))
    sequence = connection_of(context).scalar(query)
    return [AlterSequence(sequence, old=str(old), new="BIGINT")] if sequence else []
