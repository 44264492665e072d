"""Finding rows first, and then their page: by words, over PostgreSQL's own text search, or else."""

import re
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, SQLColumnExpression, func, true
from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

MOST_MATCHES: Final = 10_000
_WORD: Final = re.compile(r"[^\W_]+")


def find_words(
    model: Any, words: ColumnElement[Any], search: str, *others: SQLColumnExpression[bool]
) -> CTE:
    """Find the rows in whose `words`, which an index has, each word of `search` begins one.

    `others` are conditions that hold of them as well.
    """
    wanted = " & ".join(f"'{word}':*" for word in _WORD.findall(search))
    matches = words.bool_op("@@")(func.to_tsquery("simple", wanted))
    return find_some(model, matches, *others)


def find_each(model: Any, ids: SelectOfScalar[Any]) -> CTE:
    """Find the rows that have these ids, each by its key; of more than the most, always the same.

    Left to itself, the planner would read both tables as a whole.
    """
    wanted = ids.order_by(*ids.selected_columns).limit(MOST_MATCHES).subquery()
    (wanted_id,) = wanted.c
    row = select(model.id, model.created_at).where(model.id == wanted_id).limit(1).lateral()
    found = select(row.c.id, row.c.created_at).select_from(wanted.join(row, true()))
    return found.cte("found").prefix_with("MATERIALIZED")


def find_some(model: Any, *conditions: SQLColumnExpression[bool]) -> CTE:
    """Find the rows of which the conditions hold, before they are put in order.

    No more than the most are found. Left to itself, the planner would walk through the whole table
    in the order of the page, and compare.
    """
    found = select(model.id, model.created_at).where(*conditions).limit(MOST_MATCHES)
    return found.cte("found").prefix_with("MATERIALIZED")
