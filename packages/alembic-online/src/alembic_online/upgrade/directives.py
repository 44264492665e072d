"""Alembic's own directives, taught to spare those who use the table while it changes.

They take effect in a migration context that `run()` has configured, and there only: elsewhere, and
on tables made by the same run, Alembic's plain statements are what is executed.
"""

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops, toimpl

from alembic_online import postgresql
from alembic_online.upgrade import bridges
from alembic_online.upgrade.backfill import BackfillOp, update_at_once
from alembic_online.upgrade.batches import backfill
from alembic_online.upgrade.columns import add_column, alter_column
from alembic_online.upgrade.constraints import create_constraint
from alembic_online.upgrade.indexes import create_index, drop_index
from alembic_online.upgrade.step import Run, Step

_CONCURRENTLY = re.compile(
    r"\s*(create\s+(unique\s+)?index|drop\s+index|reindex\b[^']*|refresh\s+materialized\s+view"
    r"|alter\s+table\b[^']*\bdetach\b[^']*)\s+concurrently\b",
    re.IGNORECASE,
)
_ROWS = re.compile(r"\s*(update|delete|insert|merge|with)\b", re.IGNORECASE)

OPTION = "online_run"  # where the migration context keeps the Run

Directive = Callable[[Step, Any], Any]
Plain = Callable[[Operations, Any], Any]


def register() -> None:
    """Replace the implementations of Alembic's directives, by the hook it has for that."""
    for operation, directive, plain in _DIRECTIVES:
        Operations.implementation_for(operation, replace=True)(_resumable(directive, plain))


def _resumable(directive: Directive, plain: Plain) -> Plain:
    def invoke(operations: Operations, operation: ops.MigrateOperation) -> Any:
        run: Run | None = operations.migration_context.opts.get(OPTION)
        if run is None or _recreates_table(operations):
            return plain(operations, operation)
        step = Step(Operations(operations.migration_context), run)
        run.concerned = _tables_of(operation)
        if run.journal is None:
            return directive(step, operation)
        result = run.journal.once(
            operation, lambda: directive(step, operation), lambda: _result(step, operation)
        )
        if run.journal.owes:
            with step.outside_transaction():
                pass  # what was done concurrently has to be on record before the next step fails
        return result

    return invoke


def _recreates_table(operations: Operations) -> bool:
    """Tell a batch that was asked to copy the table; else a batch is but a list of directives."""
    if not isinstance(operations, BatchOperations):
        return False
    return bool(operations.impl.recreate == "always")


def _plainly(plain: Plain) -> Directive:
    return lambda step, operation: plain(step.operations, operation)


def _result(step: Step, operation: ops.MigrateOperation) -> sa.Table | None:
    """Return what the skipped directive would have returned."""
    if isinstance(operation, ops.CreateTableOp):
        return operation.to_table(step.operations.migration_context)
    return None


def _execute_sql(step: Step, operation: ops.ExecuteSQLOp) -> None:
    """Let what is CONCURRENTLY in raw SQL wait too: it would give up, and leave half an index."""
    journal, sql = step.run.journal, str(operation.sqltext)
    if journal is not None and journal.follows_ddl and _ROWS.match(sql):
        with step.outside_transaction():
            pass  # a back-fill takes its time: let go of the table that ADD COLUMN has locked
    waits = journal is not None and _CONCURRENTLY.match(sql)
    with step.unhurried(sql) if waits else nullcontext():
        toimpl.execute_sql(step.operations, operation)


def _create_table(step: Step, operation: ops.CreateTableOp) -> sa.Table:
    existed = operation.if_not_exists and step.exists(operation.table_name, operation.schema)
    table = toimpl.create_table(step.operations, operation)
    if not existed:
        step.run.created.add(step.quoted(table))
    return table


def _rename_table(step: Step, operation: ops.RenameTableOp) -> None:
    toimpl.rename_table(step.operations, operation)
    old, new = (
        postgresql.quote(step.dialect, operation.schema, name)
        for name in (operation.table_name, operation.new_table_name)
    )
    if old in step.run.created:
        step.run.created.add(new)
    else:
        step.run.created.discard(new)
    step.run.created.discard(old)


def _tables_of(operation: ops.MigrateOperation) -> tuple[str, ...]:
    names = (getattr(operation, name, None) for name in ("table_name", "source_table"))
    referred = getattr(operation, "referent_table", None)
    return tuple(name for name in (*names, referred) if isinstance(name, str))


_DIRECTIVES: list[tuple[type[ops.MigrateOperation], Directive, Plain]] = [
    (ops.CreateIndexOp, create_index, toimpl.create_index),
    (ops.DropIndexOp, drop_index, toimpl.drop_index),
    (ops.AddConstraintOp, create_constraint, toimpl.create_constraint),
    (ops.AddColumnOp, add_column, toimpl.add_column),
    (ops.AlterColumnOp, alter_column, toimpl.alter_column),
    (ops.CreateTableOp, _create_table, toimpl.create_table),
    (ops.ExecuteSQLOp, _execute_sql, toimpl.execute_sql),
    (ops.RenameTableOp, _rename_table, toimpl.rename_table),
    (BackfillOp, backfill, update_at_once),
    *(
        (operation, _plainly(plain), plain)
        for operation, plain in (
            (ops.BulkInsertOp, toimpl.bulk_insert),
            (ops.CreateTableCommentOp, toimpl.create_table_comment),
            (ops.DropColumnOp, toimpl.drop_column),
            (ops.DropConstraintOp, toimpl.drop_constraint),
            (ops.DropTableCommentOp, toimpl.drop_table_comment),
            (ops.DropTableOp, toimpl.drop_table),
            (bridges.BridgeColumnsOp, bridges.make_column_bridge),
            (bridges.DropColumnBridgeOp, bridges.end_column_bridge),
            (bridges.RequireFilledOp, bridges.require_filled),
            (bridges.BridgeTableOp, bridges.make_table_bridge),
            (bridges.DropTableBridgeOp, bridges.end_table_bridge),
        )
    ),
]
