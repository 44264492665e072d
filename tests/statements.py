"""The SQL that is sent, as psycopg is told to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from psycopg import AsyncCursor

_BEGINS_OR_ENDS = re.compile("BEGIN|SAVEPOINT|RELEASE|ROLLBACK")


class Sent(NamedTuple):
    sql: str
    parameters: Any
    """Their mapping or sequence, or a list of mappings if the statement was sent for each."""


# What each server of a distributed engine would say otherwise, so that Citus refuses it there.
_CLOCK = re.compile(r"\b(now\(|clock_timestamp\(|CURRENT_TIMESTAMP\b|interval\b)", re.IGNORECASE)
_PLACES = re.compile(r"\bDO UPDATE SET\b|\bCOALESCE\(|\bCASE\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE(?! SET)|DELETE FROM) \"?(\w+)", re.IGNORECASE)
# They refer to nothing, so that they are nobody's but the one server's to which all sign in.
_LOCAL = {"rate_limit", "outbox", "audit_event"}


def find_clocks(statements: list[Sent]) -> list[str]:
    """Return the writes that read a clock in DO UPDATE SET, COALESCE or CASE."""
    return [each.sql for each in statements if _has_clock(each.sql)]


def find_double_writes(statements: list[Sent]) -> list[str]:
    """Return the statements that write one table in two places, which CockroachDB refuses."""
    written = ((each.sql, _WRITES.findall(each.sql)) for each in statements)
    return [sql for sql, tables in written if len(tables) > len({*tables})]


def _has_clock(statement: str) -> bool:
    written = {*_WRITES.findall(statement)} - _LOCAL
    places = _PLACES.finditer(statement) if written else ()
    return any(_CLOCK.search(_cut(statement[each.end() :], each[0])) for each in places)


def _cut(text: str, place: str) -> str:
    """Cut what follows a place behind its end."""
    if place.upper() == "CASE":
        return re.split(r"\bEND\b", text, maxsplit=1)[0]
    depth = 1
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[:position]
    return re.split(r"\b(?:WHERE|RETURNING)\b", text, maxsplit=1)[0]


@contextmanager
def record_statements() -> Iterator[list[Sent]]:
    """Collect what this process sends, but for what begins and ends transactions."""
    sent: list[Sent] = []
    execute, execute_many = AsyncCursor.execute, AsyncCursor.executemany

    async def record(self: Any, sql: Any, parameters: Any = None, **options: Any) -> Any:
        if not _BEGINS_OR_ENDS.match(str(sql)):
            sent.append(Sent(str(sql), parameters))
        return await execute(self, sql, parameters, **options)

    async def record_many(self: Any, sql: Any, parameters: Any, **options: Any) -> None:
        sent.append(Sent(str(sql), parameters))
        await execute_many(self, sql, parameters, **options)

    with (
        patch.object(AsyncCursor, "execute", record),
        patch.object(AsyncCursor, "executemany", record_many),
    ):
        yield sent
