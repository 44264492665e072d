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
