"""Trying a change on an empty copy of a table, to see what PostgreSQL would do to the real one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.exc import DBAPIError

from alembic_online import postgresql
from alembic_online.revise.counting import connection_of
from alembic_online.revise.walking import model_of

REWRITES = "rewrites the whole table, which nobody can read or write meanwhile"
REBUILDS = "rebuilds its indexes, and nobody can read or write the table meanwhile"

# The copy is dropped with its savepoint; the real table is only read.
_SCHEMA = "pg_temp"

_FILES = sa.text(
    "SELECT pg_relation_filenode(t.oid), array(SELECT pg_relation_filenode(indexrelid)"
    " FROM pg_index WHERE indrelid = t.oid ORDER BY 1)"
    " FROM (SELECT to_regclass(:name) AS oid) AS t"
)


@contextmanager
def empty_copy(connection: sa.Connection, table: sa.TableClause | sa.Table) -> Iterator[sa.Table]:
    """Make `pg_temp.<table>` for as long as the block runs."""
    copy = sa.Table(table.name, sa.MetaData(), schema=_SCHEMA)
    format_table = connection.dialect.identifier_preparer.format_table
    with connection.begin_nested() as savepoint:
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE {format_table(copy, use_schema=False)}"
            f" (LIKE {format_table(table)} INCLUDING ALL)"
        )
        yield copy
        savepoint.rollback()


def trouble(context: MigrationContext, op: ops.AddColumnOp | ops.AlterColumnOp) -> str | None:
    """Say what the change does to a table with rows beside changing the catalogue, if anything.

    The refusal of PostgreSQL itself is raised as `DBAPIError`.
    """
    connection = connection_of(context)
    if connection.dialect.name != "postgresql" or _is_harmless(op):
        return None
    with empty_copy(connection, sa.table(op.table_name, schema=op.schema)) as copy:
        name = {"name": postgresql.quoted(connection.dialect, copy)}
        if isinstance(op, ops.AddColumnOp) and isinstance(op.column.server_default, sa.Computed):
            _add_what_it_may_use(context, op)
        table, indexes = connection.execute(_FILES, name).one()
        _change(context, op)
        new_table, new_indexes = connection.execute(_FILES, name).one()
    if table != new_table:
        return REWRITES
    return REBUILDS if indexes != new_indexes[: len(indexes)] else None


def is_refused_back(context: MigrationContext, op: ops.AlterColumnOp) -> bool:
    """Tell whether PostgreSQL refuses the old type to the column that has got its new one."""
    connection = connection_of(context)
    back = op.reverse()
    back.kw.pop("postgresql_using", None)
    with empty_copy(connection, sa.table(op.table_name, schema=op.schema)):
        _change(context, op)
        try:
            with connection.begin_nested():
                _change(context, back)
        except DBAPIError:
            return True
    return False


def _is_harmless(op: ops.AddColumnOp | ops.AlterColumnOp) -> bool:
    """Spare the trial, in which the enum type of a new column might not be there yet."""
    if isinstance(op, ops.AlterColumnOp):
        return op.modify_type is None
    if isinstance(op.column.type, DOMAIN):  # its CHECK is tried on every row
        return False
    return op.column.server_default is None or is_constant(op.column.server_default)


def is_constant(default: sa.FetchedValue) -> bool:
    return isinstance(default, sa.DefaultClause) and isinstance(
        default.arg, str | sa.True_ | sa.False_
    )


def _change(context: MigrationContext, op: ops.AddColumnOp | ops.AlterColumnOp) -> None:
    """Go past `Operations`, whose directives may be carried out in steps on live tables."""
    if isinstance(op, ops.AddColumnOp):
        column = op.column
        default: Any = column.server_default
        argument = default.arg if isinstance(default, sa.DefaultClause) else default
        if isinstance(default, sa.Computed):
            argument = sa.Computed(default.sqltext, persisted=default.persisted)
        elif isinstance(default, sa.Identity):
            argument = sa.Identity(always=default.always)
        added = _column(column.name, column.type, argument)
        context.impl.add_column(op.table_name, added, schema=_SCHEMA)
        return
    context.impl.alter_column(
        op.table_name,
        op.column_name,
        type_=op.modify_type,
        existing_type=op.existing_type,
        schema=_SCHEMA,
        postgresql_using=op.kw.get("postgresql_using"),
    )


def _add_what_it_may_use(context: MigrationContext, op: ops.AddColumnOp) -> None:
    """Add the other new columns, bare: a generated one may be made of them."""
    found = sa.inspect(connection_of(context)).get_columns(op.table_name, op.schema)
    existing = {column["name"] for column in found}
    for column in model_of(context, op).columns:
        if column.name not in existing and column.computed is None:
            bare = sa.Column(column.name, column.type)
            context.impl.add_column(op.table_name, bare, schema=_SCHEMA)


def _column(name: str, type_: Any, default: Any) -> sa.Column[Any]:
    if isinstance(default, sa.Computed | sa.Identity):
        return sa.Column(name, type_, default)
    return sa.Column(name, type_, server_default=default)
