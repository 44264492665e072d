"""Indexes are made and dropped CONCURRENTLY: readers and writers go on."""

import sqlalchemy as sa
from alembic.operations import ops, toimpl
from sqlalchemy.exc import DBAPIError, IntegrityError

from alembic_online import postgresql
from alembic_online.upgrade.partitions import build_on_partitions
from alembic_online.upgrade.refusal import refusal
from alembic_online.upgrade.step import Step


def create_index(step: Step, operation: ops.CreateIndexOp) -> None:
    index = operation.to_index(step.operations.migration_context)
    table = _table(index)
    if _is_plain(step, operation) or step.is_new(table):
        toimpl.create_index(step.operations, operation)
    elif step.is_live(table):
        build_index(step, index, if_not_exists=operation.if_not_exists)
    elif operation.if_not_exists and not step.resuming:
        toimpl.create_index(step.operations, operation)
    else:
        build_on_partitions(step, index, table, _named(step, index))
        _analyze_expressions(step, index)


def build_index(step: Step, index: sa.Index, *, if_not_exists: bool | None = None) -> None:
    """Create an index on a live table; if its rows do not allow that, leave nothing behind."""
    table, name = _table(index), _named(step, index)
    index.dialect_kwargs["postgresql_concurrently"] = True
    with step.unhurried(f"creating index {name}"):
        step.note(f"If this fails, drop index {name} before you try again: it is left invalid.")
        try:
            if not (step.resuming and _is_there(step, table, name)):
                step.operations.impl.create_index(
                    index, **({"if_not_exists": True} if if_not_exists else {})
                )
        except DBAPIError as error:
            if not error.connection_invalidated:
                _is_there(step, table, name)
            if isinstance(error, IntegrityError):
                raise refusal(error) from error
            raise
    _analyze_expressions(step, index)


def _analyze_expressions(step: Step, index: sa.Index) -> None:
    """Have PostgreSQL learn of the values of expressions, which only ANALYZE tells it of."""
    if not all(isinstance(part, sa.Column) for part in index.expressions):
        with step.unhurried(f"analyzing {_table(index).name}"):
            step.execute(f"ANALYZE {step.quoted(_table(index))}")


def _named(step: Step, index: sa.Index) -> str:
    name = step.name_of(index)
    if name is None:
        raise TypeError("an index needs a name")
    return name


def drop_index(step: Step, operation: ops.DropIndexOp) -> None:
    index = operation.to_index(step.operations.migration_context)
    itself = sa.Table(operation.index_name, sa.MetaData(), schema=operation.schema)
    live = step.is_live(_table(index)) and step.is_live(itself)
    if _is_plain(step, operation) or not live:
        toimpl.drop_index(step.operations, operation)
        return
    index.dialect_kwargs["postgresql_concurrently"] = True
    if_exists = step.resuming or operation.if_exists
    with step.unhurried(f"dropping index {operation.index_name}"):
        step.operations.impl.drop_index(index, **({"if_exists": True} if if_exists else {}))


def _is_plain(step: Step, operation: ops.CreateIndexOp | ops.DropIndexOp) -> bool:
    """Tell whether the revision has decided: against it, or for it in a block of its own."""
    wanted = operation.kw.get("postgresql_concurrently")
    return wanted is False or (wanted is True and step.run.journal is None)


def _is_there(step: Step, table: sa.Table, name: str) -> bool:
    """Tell whether the index is there and complete; drop it if it is half made."""
    valid = postgresql.is_index_valid(step.connection, table, name)
    if valid is False:
        quoted = postgresql.quote(step.dialect, table.schema, name)
        step.execute(f"DROP INDEX CONCURRENTLY {quoted}")
    return bool(valid)


def _table(index: sa.Index) -> sa.Table:
    if index.table is None:
        raise TypeError(f"index {index.name} has no table")
    return index.table
