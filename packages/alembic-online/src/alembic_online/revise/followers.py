"""Indexes and constraints that get a new name when their table or column does."""

from collections.abc import Container, Hashable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import IdentifierPreparer

from alembic_online.revise.operations import RenameColumn, RenameConstraint, RenameTable

Name = str
Key = tuple[Hashable, ...]


def renamed_followers(
    connection: sa.Connection,
    metadata: sa.MetaData,
    renames: Iterable[RenameColumn | RenameTable],
) -> list[RenameConstraint]:
    """Rename what differs from the models in nothing but its name, and return these renames.

    SQLite cannot rename an index or a constraint: there autogenerate makes them anew.
    """
    if connection.dialect.name != "postgresql":
        return []
    old_names = {
        rename.new_table_name if isinstance(rename, RenameTable) else rename.table_name: (
            rename.table_name
        )
        for rename in renames
    }
    inspector = sa.inspect(connection)
    followers = [
        follower
        for table in metadata.tables.values()
        if _is_concerned(table, old_names) and inspector.has_table(table.name, table.schema)
        for follower in _followers(inspector, table, old_names.get(table.name, table.name))
    ]
    for follower in followers:
        connection.exec_driver_sql(follower.sql(connection.dialect.identifier_preparer))
    return followers


def _is_concerned(table: sa.Table, renamed: Container[str]) -> bool:
    """Tell whether the table was renamed, had a column renamed, or refers to such a table."""
    targets = (key.referred_table.name for key in table.foreign_key_constraints)
    return table.name in renamed or any(target in renamed for target in targets)


def _followers(
    inspector: sa.Inspector, table: sa.Table, old_table: str
) -> Iterator[RenameConstraint]:
    preparer = inspector.dialect.identifier_preparer
    found, wanted = dict(_found(inspector, table)), dict(_wanted(table, old_table, preparer))
    taken = set(found.values())
    for key, new in sorted(wanted.items(), key=lambda item: item[1]):
        old = found.get(key)
        if old is not None and old != new and new not in taken:
            yield RenameConstraint(table.name, table.schema, old, new, key[0] in {"pk", "uq", "ix"})


def _found(inspector: sa.Inspector, table: sa.Table) -> Iterator[tuple[Key, Name]]:
    name, schema = table.name, table.schema
    primary_key = inspector.get_pk_constraint(name, schema)
    if primary_key["name"]:
        yield ("pk",), primary_key["name"]
    for unique in inspector.get_unique_constraints(name, schema):
        yield ("uq", *unique["column_names"]), str(unique["name"])
    for key in inspector.get_foreign_keys(name, schema):
        target = (key["referred_schema"], key["referred_table"], *key["referred_columns"])
        yield ("fk", *key["constrained_columns"], *target), str(key["name"])
    for index in inspector.get_indexes(name, schema):
        if "expressions" not in index and "duplicates_constraint" not in index:
            options: dict[str, Any] = dict(index.get("dialect_options", {}))
            partial = options.get("postgresql_where") is not None
            yield ("ix", index["unique"], partial, *index["column_names"]), str(index["name"])
    for check in inspector.get_check_constraints(name, schema):
        yield ("ck", str(check["name"])), str(check["name"])


def _wanted(
    table: sa.Table, old_table: str, preparer: IdentifierPreparer
) -> Iterator[tuple[Key, Name]]:
    for constraint in table.constraints:
        if not constraint.name:
            continue
        name = _final_name(preparer.format_constraint(constraint))
        if isinstance(constraint, sa.PrimaryKeyConstraint):
            yield ("pk",), name
        elif isinstance(constraint, sa.UniqueConstraint):
            yield ("uq", *(column.name for column in constraint.columns)), name
        elif isinstance(constraint, sa.ForeignKeyConstraint):
            target = constraint.referred_table
            columns = [element.column.name for element in constraint.elements]
            local = [column.name for column in constraint.columns]
            yield ("fk", *local, target.schema, target.name, *columns), name
        elif isinstance(constraint, sa.CheckConstraint):
            yield ("ck", name.replace(table.name, old_table)), name
    for index in table.indexes:
        on = [getattr(column, "name", None) for column in index.expressions]
        partial = index.dialect_options["postgresql"]["where"] is not None
        name = _final_name(preparer.format_index(index))
        yield ("ix", bool(index.unique), partial, *on), name


def _final_name(formatted: str | None) -> Name:
    """Undo the quoting: what counts is how SQLAlchemy shortens what is over 63 bytes."""
    name = formatted or ""
    return name[1:-1].replace('""', '"').replace("%%", "%") if name.startswith('"') else name
