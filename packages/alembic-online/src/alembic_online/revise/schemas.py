"""Schemas that the models live in and the database does not have yet."""

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.counting import connection_of
from alembic_online.revise.rendering import for_text
from alembic_online.revise.walking import each


def create_schemas(context: MigrationContext, upgrade: ops.UpgradeOps) -> None:
    """Create them first; a downgrade leaves them, since others may have used them meanwhile."""
    existing = sa.inspect(connection_of(context)).get_schema_names()
    wanted = {op.schema for op in each(upgrade) if isinstance(op, ops.CreateTableOp) and op.schema}
    quote = context.dialect.identifier_preparer.quote_schema
    upgrade.ops[:0] = [
        ops.ExecuteSQLOp(for_text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}", context.dialect))
        for schema in sorted(wanted.difference(existing))
    ]
