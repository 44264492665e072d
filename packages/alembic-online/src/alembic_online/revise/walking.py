"""Ways through the operations of a revision."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

Table = tuple[str | None, str | None]  # schema and name


def each(container: ops.OpContainer) -> Iterator[ops.MigrateOperation]:
    """Yield every operation, those inside of `ModifyTableOps` too."""
    for op in container.ops:
        if isinstance(op, ops.OpContainer):
            yield from each(op)
        else:
            yield op


def replace_each(
    side: ops.OpContainer,
    steps: Callable[[ops.MigrateOperation], Iterable[ops.MigrateOperation]],
) -> None:
    """Put `steps` of it in the place of each operation on an existing table."""
    for table in side.ops:
        if isinstance(table, ops.ModifyTableOps):
            table.ops = [step for op in table.ops for step in steps(op)]


def table_of(op: Any) -> Table:
    """Return schema and name of the table that an operation changes."""
    schema = getattr(op, "schema", None) or getattr(op, "kw", {}).get("source_schema")
    table = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    return schema, table or getattr(op, "table", None)


def label(schema: str | None, *names: str) -> str:
    """Return `table.column`, or `schema.table.column` outside of the default schema."""
    return ".".join(name for name in (schema, *names) if name)


def short_schema(context: MigrationContext, schema: str | None) -> str | None:
    """Return None for the schema that a name without one is in."""
    return None if schema == context.dialect.default_schema_name else schema


def model_of(context: MigrationContext, op: Any) -> sa.Table:
    """Return the model's table that an operation changes."""
    schema, name = table_of(op)
    place = (short_schema(context, schema), name)
    tables: Iterable[sa.Table] = context.opts["target_metadata"].tables.values()
    return next(
        table for table in tables if (short_schema(context, table.schema), table.name) == place
    )
