"""Indexes and unique constraints, compared in all that PostgreSQL keeps of them.

Loaded by Alembic as an autogenerate plugin. Alembic compares columns and uniqueness; method,
operator classes, INCLUDE, conditions and deferral are seen in what PostgreSQL makes of the model's
definition on an empty temporary copy.
"""

import warnings
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex

from alembic_online import postgresql
from alembic_online.revise.comparators import compare_tables
from alembic_online.revise.counting import connection_of
from alembic_online.revise.trial import empty_copy
from alembic_online.revise.uncompared import note
from alembic_online.revise.walking import label

Item = sa.Index | sa.UniqueConstraint | ExcludeConstraint

_TRIAL = "definition_trial"
# What comes after the names of index and table, as pg_get_indexdef() writes them.
_INDEXES = """
    SELECT i.relname AS name, substr(said, strpos(said, place || 'USING ') + length(place))
        AS definition
    FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid JOIN pg_class AS t ON t.oid = indrelid,
        LATERAL (SELECT format('.%I ', t.relname) AS place, substr(pg_get_indexdef(indexrelid),
                        length(format(' INDEX %I ', i.relname))) AS said) AS words
    WHERE indrelid = to_regclass(:table)
"""
_CONSTRAINTS = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype IN ('u', 'x') AND conrelid = to_regclass(:table)
"""


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(
        _silence_alembic, "schema", "definitions", priority=DispatchPriority.FIRST
    )
    compare_tables(plugin, "definitions", _compare, priority=DispatchPriority.LAST)


def _silence_alembic(*_: Any) -> PriorityDispatchResult:
    """Keep Alembic from warning that it does not compare what is compared here."""
    warnings.filterwarnings("ignore", "Expression #.* detected to include an operator clause")
    return PriorityDispatchResult.CONTINUE


def _compare(
    context: AutogenContext, changes: ops.ModifyTableOps, found: sa.Table, wanted: sa.Table
) -> None:
    uniques = [item for item in wanted.constraints if isinstance(item, sa.UniqueConstraint)]
    existing = [item for item in found.constraints if isinstance(item, sa.UniqueConstraint)]
    _compare_all(context, changes, found, sorted(wanted.indexes, key=_name), [*found.indexes])
    _compare_all(context, changes, found, sorted(uniques, key=_name), existing)


def _name(item: Item) -> str:
    return str(item.name)


def _compare_all(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    found: sa.Table,
    wanted: list[Any],
    existing: list[Any],
) -> None:
    settled = {_changed(op) for op in changes.ops}
    by_name = {_name(item): item for item in existing}
    pairs = [
        (by_name[_name(item)], item)
        for item in wanted
        if _name(item) in by_name and _name(item) not in settled
    ]
    if not pairs:
        return
    connection = connection_of(context.migration_context)
    stored = definitions(connection, found, type(pairs[0][1]))
    for old, new in pairs:
        before = stored.get(_name(new))
        if before in {None, _plain(new, connection.dialect)}:
            continue
        try:
            after = as_stored(connection, found, new)
        except DBAPIError as error:
            subject = label(found.schema, found.name, _name(new))
            note(context.migration_context, f"{subject}: {postgresql.reason(error)}")
        else:
            if after != before:
                changes.ops.extend(_redefined(old, new, str(before)))


def _changed(op: Any) -> str:
    return str(getattr(op, "index_name", None) or getattr(op, "constraint_name", None))


def definitions(connection: sa.Connection, table: sa.Table, kind: type[Item]) -> dict[str, str]:
    """Return what PostgreSQL shows of the table's indexes or constraints, by their names."""
    query = _INDEXES if issubclass(kind, sa.Index) else _CONSTRAINTS
    name = {"table": postgresql.quoted(connection.dialect, table)}
    return {row.name: row.definition for row in connection.execute(sa.text(query), name)}


def _plain(item: sa.Index | sa.UniqueConstraint, dialect: sa.Dialect) -> str | None:
    """Return what PostgreSQL shows of an item that has but columns, without asking it."""
    items = list(item.expressions if isinstance(item, sa.Index) else item.columns)
    columns = [column for column in items if isinstance(column, sa.Column)]
    if item.dialect_kwargs or len(columns) < len(items):
        return None
    names = ", ".join(postgresql.quote(dialect, column.name) for column in columns)
    if isinstance(item, sa.Index):
        return f"USING btree ({names})"
    return None if item.deferrable or item.initially else f"UNIQUE ({names})"


def as_stored(connection: sa.Connection, found: sa.Table, item: Item) -> str:
    """Return how PostgreSQL shows the model's definition; `DBAPIError` if it refuses it."""
    with empty_copy(connection, found) as copy:
        name = item.name
        assert item.table is not None and copy.schema is not None  # noqa: PT018, S101  # as made
        model = item.table.to_metadata(sa.MetaData(), schema=copy.schema)
        items: list[Any] = [*model.indexes, *model.constraints]
        (trial,) = (each for each in items if type(each) is type(item) and each.name == name)
        trial.name = sa.schema.conv(_TRIAL)
        is_index = isinstance(trial, sa.Index)
        if is_index:
            trial.dialect_kwargs["postgresql_concurrently"] = False
        make: Callable[[Any], Any] = CreateIndex if is_index else AddConstraint
        with connection.begin_nested():
            connection.execute(make(trial))
        return definitions(connection, copy, type(item))[_TRIAL]


def _redefined(old: Any, new: Any, before: str) -> list[ops.MigrateOperation]:
    if isinstance(new, sa.Index):
        return [ops.DropIndexOp.from_index(old), ops.CreateIndexOp.from_index(new)]
    # What SQLAlchemy does not read from the database.
    old.deferrable = " DEFERRABLE" in before or None
    old.initially = "DEFERRED" if " INITIALLY DEFERRED" in before else None
    return [ops.DropConstraintOp.from_constraint(old), ops.AddConstraintOp.from_constraint(new)]
