"""The tables as a Mermaid entity-relationship diagram, which docs/architecture.md shows."""

from collections.abc import Iterator

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy leaves it


def draw_schema(metadata: MetaData) -> str:
    """Return the text of a Mermaid `erDiagram`."""
    lines = ["erDiagram"]
    for table in metadata.sorted_tables:
        lines += [f"    {table.name} {{", *map(_attribute, table.columns), "    }"]
    for table in metadata.sorted_tables:
        lines += _relationships(table)
    return "\n".join(lines)


def _attribute(column: Column[object]) -> str:
    keys = ["PK"] * column.primary_key + ["FK"] * bool(column.foreign_keys)
    keys += ["UK"] * _is_unique(column)
    kind = column.type.compile(_POSTGRESQL).lower().replace(", ", "_").replace(" ", "_")
    comment = ' "optional"' if column.nullable else ""
    return f"        {kind} {column.name} {', '.join(keys)}".rstrip() + comment


def _is_unique(column: Column[object]) -> bool:
    return column.unique or any(
        index.unique and list(index.columns) == [column] for index in column.table.indexes
    )


def _relationships(table: Table) -> Iterator[str]:
    for column in table.columns:
        for key in column.foreign_keys:
            one = "|o" if column.nullable else "||"
            yield f"    {key.column.table.name} {one}--o{{ {table.name} : {column.name}"
