"""Rows of the database at hand that would stop the upgrade."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.counting import Count, amount, count


def obstacle(context: MigrationContext, op: Any) -> str:
    """Return such as " (STOPS: 3 rows have no value)", or nothing."""
    if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
        table = sa.table(op.table_name, schema=op.schema)
        empty = count(context, table, sa.column(op.column_name).is_(None))
        return _stops(empty, "row", "without a value")
    if isinstance(op, ops.CreateUniqueConstraintOp):
        return _duplicates(context, op)
    if isinstance(op, ops.CreateIndexOp) and op.unique:
        return _duplicates(context, op)
    return ""


def _duplicates(
    context: MigrationContext, op: ops.CreateUniqueConstraintOp | ops.CreateIndexOp
) -> str:
    if not all(isinstance(column, str) for column in op.columns):
        return ""
    keys: list[sa.ColumnClause[Any]] = [sa.column(str(column)) for column in op.columns]
    compared = [] if op.kw.get("postgresql_nulls_not_distinct") else keys
    partial = op.kw.get("postgresql_where")
    groups = (
        sa.select(*keys)
        .select_from(sa.table(op.table_name, schema=op.schema))
        .where(*(key.is_not(None) for key in compared), *([] if partial is None else [partial]))
        .group_by(*keys)
        .having(sa.func.count() > 1)
        .subquery("duplicates")
    )
    return _stops(count(context, groups), "value", "more than once")


def _stops(counted: Count, noun: str, which: str) -> str:
    if counted.number is None:
        return f" (NOT COUNTED: {noun}s {which}, {counted.problem})"
    return f" (STOPS: {amount(counted, noun)} {which})" if counted.number else ""
