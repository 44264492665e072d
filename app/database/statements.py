"""What is sent to the database, in the log: the slow statements, or every one."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from psycopg import AsyncCursor, AsyncServerCursor
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger("app.statements")
Report = Callable[[object, float], None]
"""What is told of a statement, and the seconds until its answer was there."""


def log_statements(engine: AsyncEngine, *, every: bool, slow: float) -> None:
    """Log what takes `slow` seconds or more, or every statement; never the parameters.

    psycopg's cursors tell of it, since the statement that finds out who is calling is theirs alone.
    """

    def report(statement: object, seconds: float) -> None:
        if every or seconds >= slow:
            tell = log.warning if seconds >= slow else log.info
            sql = " ".join(str(statement).split())
            tell("statement", sql=sql, duration_ms=round(seconds * 1000, 2))

    client_side, server_side = _cursors(report)

    def use_them(connection: DBAPIConnection, _: object) -> None:
        driver: Any = connection.driver_connection
        driver.cursor_factory, driver.server_cursor_factory = client_side, server_side

    listen(engine.sync_engine, "connect", use_them)


def _cursors(report: Report) -> tuple[type[AsyncCursor[Any]], type[AsyncServerCursor[Any]]]:
    class Timed:
        async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            with _timing(report, query):
                return await super().execute(query, params, **options)  # type: ignore[misc]  # of a cursor

        async def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
            with _timing(report, query):
                await super().executemany(query, params_seq, **options)  # type: ignore[misc]  # as above

    class ClientSide(Timed, AsyncCursor[Any]):
        pass

    class ServerSide(Timed, AsyncServerCursor[Any]):
        pass

    return ClientSide, ServerSide


class _timing:  # noqa: N801  # as `contextlib` has them; a generator would take 2 us more
    def __init__(self, report: Report, statement: object) -> None:
        self._report, self._statement = report, statement

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._report(self._statement, perf_counter() - self._began)
