"""Primary keys and generated columns, which autogenerate compares but leaves to the developer.

Loaded by Alembic as an autogenerate plugin.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from sqlalchemy.exc import DBAPIError

from alembic_online import postgresql
from alembic_online.revise.by_hand import ByHand
from alembic_online.revise.comparators import compare_tables
from alembic_online.revise.counting import connection_of
from alembic_online.revise.rendering import escape_colons, render_item, sql_text
from alembic_online.revise.trial import empty_copy
from alembic_online.revise.uncompared import note
from alembic_online.revise.unmanaged import OPTION, Unmanaged, advice
from alembic_online.revise.walking import label

Expression = tuple[str, bool] | None  # and whether it is stored

_TRIAL = "generated_trial"
_EXPRESSION = """
    SELECT pg_get_expr(adbin, adrelid) AS sql, attgenerated = 's' AS persisted
    FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum)
    WHERE adrelid = to_regclass(:table) AND attname = CAST(:column AS name) AND attgenerated <> ''
"""
_KEY = """\
{table}: the primary key is ({old}) in the database, and ({new}) in the model. Autogenerate
changes no keys, since rows elsewhere may refer to them. By hand, when all its columns are there
and required:
{steps}
Foreign keys that refer to the old key are dropped before that, and made anew after it."""
_GENERATED = """\
{column}: it is {old} in the database, and {new} in the model. PostgreSQL writes
the table anew for that, while nobody can use it. Either give the model's column another name, have
the application use that, and drop the old one in a later revision; or, by hand:
    op.drop_column({name!r}, {old_column!r}{schema})
    op.add_column({name!r}, {rendered}{schema})
and after that, the indexes that the column had."""


def setup(plugin: Plugin) -> None:
    compare_tables(plugin, "keys", _compare)


def _compare(
    context: AutogenContext, changes: ops.ModifyTableOps, found: sa.Table, wanted: sa.Table
) -> None:
    _compare_keys(context, changes, found, wanted)
    for column in wanted.columns:
        if column.name in found.columns:
            _compare_generated(context, changes, found.columns[column.name], column)


def _compare_keys(
    context: AutogenContext, changes: ops.ModifyTableOps, found: sa.Table, wanted: sa.Table
) -> None:
    old, new = ([column.name for column in table.primary_key] for table in (found, wanted))
    unmanaged: Unmanaged = context.migration_context.opts[OPTION]
    is_wider = {*old} > {*new} > set()
    if {*old} == {*new} or (is_wider and unmanaged.lists_key(found)):
        return
    subject = label(found.schema, found.name)
    steps = "\n".join(f"    {step}" for step in _new_key(context.dialect, found, wanted))
    reason = _KEY.format(table=subject, old=", ".join(old), new=", ".join(new), steps=steps)
    hint = "\n" + advice(f"{subject}.{found.primary_key.name}") if is_wider else ""
    changes.ops.append(ByHand(reason + hint))


def _new_key(dialect: sa.Dialect, found: sa.Table, wanted: sa.Table) -> Iterator[str]:
    old = found.primary_key.name
    new = wanted.primary_key.name or old or postgresql.shortened(found.name, "_pkey")
    columns = [column.name for column in wanted.primary_key]
    changes = [f"DROP CONSTRAINT {postgresql.quote(dialect, str(old))}"] if old else []
    if columns:
        index = postgresql.shortened(str(new), "_new")
        arguments = f"{index!r}, {found.name!r}, {columns!r}, unique=True{_schema(found)}"
        yield f"op.create_index({arguments})"
        changes.append(
            f"ADD CONSTRAINT {postgresql.quote(dialect, str(new))}"
            f" PRIMARY KEY USING INDEX {postgresql.quote(dialect, index)}"
        )
    sql = f"ALTER TABLE {postgresql.quoted(dialect, found)} {', '.join(changes)}"
    yield f"op.execute({escape_colons(sql)!r})"


def _schema(table: sa.Table) -> str:
    return f", schema={table.schema!r}" if table.schema else ""


def _compare_generated(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    found: sa.Column[Any],
    wanted: sa.Column[Any],
) -> None:
    if found.computed is None and wanted.computed is None:
        return
    subject = label(found.table.schema, found.table.name, found.name)
    connection = connection_of(context.migration_context)
    old = _expression(connection, found.table, found.name)
    try:
        new = _as_stored(context, found.table, wanted)
    except DBAPIError as error:
        note(context.migration_context, f"{subject}: {postgresql.reason(error)}")
        return
    if old != new:
        text = _GENERATED.format(
            column=subject,
            old=_shown(old),
            new=_shown(new),
            name=found.table.name,
            old_column=found.name,
            rendered=_rendered(context, wanted),
            schema=_schema(found.table),
        )
        changes.ops.append(ByHand(text))


def _shown(expression: Expression) -> str:
    if expression is None:
        return "not generated"
    sql, is_persisted = expression
    return f"generated as {sql}{' STORED' if is_persisted else ''}"


def _rendered(context: AutogenContext, column: sa.Column[Any]) -> str:
    type_ = render_item("type", column.type, context) or f"sa.{column.type!r}"
    generated = render_item("server_default", column.computed, context) if column.computed else ""
    return f"sa.Column({column.name!r}, {type_}{generated and f', {generated}'})"


def _expression(connection: sa.Connection, table: sa.Table, column: str) -> Expression:
    values = {"table": postgresql.quoted(connection.dialect, table), "column": column}
    row = connection.execute(sa.text(_EXPRESSION), values).one_or_none()
    return None if row is None else (row.sql, row.persisted)


def _as_stored(context: AutogenContext, table: sa.Table, column: sa.Column[Any]) -> Expression:
    """Return how PostgreSQL shows the model's expression; `DBAPIError` if it refuses it."""
    if column.computed is None:
        return None
    connection = connection_of(context.migration_context)
    sql = sa.text(sql_text(column.computed.sqltext, connection.dialect))
    trial = sa.Column(_TRIAL, column.type, sa.Computed(sql, persisted=column.computed.persisted))
    with empty_copy(connection, table) as copy, connection.begin_nested():
        context.migration_context.impl.add_column(copy.name, trial, schema=copy.schema)
        return _expression(connection, copy, _TRIAL)
