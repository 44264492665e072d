"""Ways through the operations of a revision."""

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops


def each(container: ops.OpContainer) -> Iterator[ops.MigrateOperation]:
    """Yield every operation, those inside of `ModifyTableOps` too."""
    for op in container.ops:
        if isinstance(op, ops.OpContainer):
            yield from each(op)
        else:
            yield op


def table_of(op: Any) -> tuple[str | None, str | None]:
    """Return schema and name of the table that an operation changes."""
    schema = getattr(op, "schema", None) or getattr(op, "kw", {}).get("source_schema")
    table = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    return schema, table or getattr(op, "table", None)


def label(schema: str | None, *names: str) -> str:
    """Return `table.column`, or `schema.table.column` outside of the default schema."""
    return ".".join(name for name in (schema, *names) if name)
