"""Indexes and constraints: what an operation makes or drops, and on which columns."""

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from alembic_online.revise.rendering import sql_text


def item_of(op: Any) -> Any:
    is_index = isinstance(op, ops.CreateIndexOp | ops.DropIndexOp)
    return op.to_index() if is_index else op.to_constraint()


def columns_of(item: Any, dialect: sa.Dialect) -> Iterator[str]:
    """Yield the columns, and every word of an expression, which may be one."""
    for column in getattr(item, "columns", ()):
        yield column.name
    options = dict(getattr(item, "dialect_kwargs", {}))
    yield from options.get("postgresql_include") or ()
    expressions = [getattr(item, "sqltext", None), options.get("postgresql_where")]
    for expression in [*expressions, *getattr(item, "expressions", ())]:
        if isinstance(expression, sa.ClauseElement):
            yield from re.findall(r"\w+", sql_text(expression, dialect))
        elif isinstance(expression, str):
            yield from re.findall(r"\w+", expression)
