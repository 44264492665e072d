"""Very many rows in every table, made by the database itself from their numbers."""

from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from app.database.url import libpq_uri

ROWS = 30_000
_CHILDREN = 25  # of each row that others refer to
# Of the number n; the first that a column's type belongs to.
_VALUES: dict[type[sa.types.TypeEngine[Any]], str] = {
    sa.Enum: "{members}",
    sa.String: "left(n || {name} || '@example.com', {length})",  # short ones differ, too
    sa.LargeBinary: "sha256(({name} || n)::bytea)",
    sa.Uuid: "md5({table} || n)::uuid",
    sa.Boolean: "false",
    sa.Integer: "-n",  # what tests add beside these is positive
    sa.Numeric: "-n",
    sa.Float: "-n",
    sa.DateTime: "now() - n * interval '1 second'",
    sa.Date: "current_date - n",
    sa.Time: "'00:00'::time",
    sa.Interval: "n * interval '1 second'",
    sa.JSON: "'{{}}'",
    sa.ARRAY: "'{{}}'",
}


def fill_tables(url: sa.URL, **rows: int) -> None:
    """Fill the tables of a migrated, empty database with `ROWS`, or as many as are said."""
    metadata = sa.MetaData()
    metadata.reflect(sa.create_engine(url, poolclass=sa.NullPool))
    metadata.remove(metadata.tables["alembic_version"])
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        # The foreign keys hold by construction, and are not checked row by row.
        connection.execute("SET session_replication_role = replica")
        for table in metadata.sorted_tables:
            connection.execute(_insert(table, rows.get(table.name, ROWS)))
        connection.execute("VACUUM (ANALYZE, FREEZE)")


def _insert(table: sa.Table, rows: int) -> sql.Composed:
    values = dict(_make_values(table))
    insert = "INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {}) AS n ON CONFLICT DO NOTHING"
    return sql.SQL(insert).format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(values.values()),
        rows,
    )


def _make_values(table: sa.Table) -> Iterator[tuple[str, sql.Composable]]:
    alone = {each.name for key in _find_keys(table) if len(key) == 1 for each in key}
    for column in table.columns:
        if column.computed is None and column.identity is None:
            is_unique = column.primary_key or column.unique or column.name in alone
            yield column.name, _value(column, "n" if is_unique else f"(n / {_CHILDREN} + 1)")


def _find_keys(table: sa.Table) -> Iterator[list[sa.Column[Any]]]:
    yield from (list(each.columns) for each in table.indexes if each.unique)
    constraints = (each for each in table.constraints if isinstance(each, sa.UniqueConstraint))
    yield from (list(each.columns) for each in constraints)


def _value(column: sa.Column[object], parent: str) -> sql.Composed:
    name, table, expression = column.name, column.table.name, None
    if column.foreign_keys:
        (key,) = column.foreign_keys
        name, table, column = key.column.name, key.column.table.name, key.column
        expression = f"(SELECT {{value}} FROM (SELECT {parent} AS n))"
    value = _of_type(column.type, name, table)
    return sql.SQL(expression).format(value=value) if expression else value


def _of_type(kind: sa.types.TypeEngine[Any], name: str, table: str) -> sql.Composed:
    for known, value in _VALUES.items():
        if isinstance(kind, known):
            return sql.SQL(value).format(
                name=name,
                table=table,
                length=getattr(kind, "length", None) or 1000,
                members=getattr(kind, "enums", [""])[0],
            )
    raise AssertionError(f"say in tests/bulk.py what a value of {kind!r} looks like")
