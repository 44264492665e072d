"""Shorter string types: a CHECK looks at the rows first, while everybody can still work."""

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.sql.compiler import IdentifierPreparer

from alembic_online.revise.retyping import shrunk_length
from alembic_online.revise.walking import replace_each


def check_before_shrinking(side: ops.OpContainer, preparer: IdentifierPreparer) -> None:
    """Put a CHECK before, and its removal after, each `ALTER COLUMN` that shortens a string."""
    replace_each(side, lambda op: _steps(op, preparer))


def _steps(op: ops.MigrateOperation, preparer: IdentifierPreparer) -> list[ops.MigrateOperation]:
    length = shrunk_length(op) if isinstance(op, ops.AlterColumnOp) else None
    if length is None or not isinstance(op, ops.AlterColumnOp):
        return [op]
    name = sa.sql.elements.conv(f"{op.table_name}_{op.column_name}"[:48] + "_fits_new_type")
    condition = f"char_length({preparer.quote(op.column_name)}) <= {length}"
    return [
        ops.CreateCheckConstraintOp(name, op.table_name, condition, schema=op.schema),
        op,
        ops.DropConstraintOp(name, op.table_name, "check", schema=op.schema, if_exists=True),
    ]
