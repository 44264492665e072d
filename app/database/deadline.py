"""How long to wait for the database: until a request's deadline, whatever has become of the host.

The server's own limits end a statement that runs. They end neither a COMMIT that waits for a
standby, nor the wait for a host that has vanished. So the socket is shut down here, which
SQLAlchemy takes for a lost connection.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from psycopg import AsyncConnection
from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

LONGEST_WAIT: Final = 10  # seconds for one answer, where there is no deadline
_TIMER: Final = "timer"
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Wait no longer for the database in this block; for more, a route opens a block of its own.

    What such a block takes does not count for the one around it, which has yet to commit.
    """
    now = asyncio.get_running_loop().time
    start, outer = now(), _deadline.get()
    _deadline.set(start + seconds)
    try:
        yield
    finally:
        is_longer = outer is not None and start + seconds > outer
        _deadline.set(outer + now() - start if outer is not None and is_longer else outer)


def get_time_left() -> float:
    """Return the seconds that there are for the next answer of the database."""
    deadline = _deadline.get()
    if deadline is None:
        return LONGEST_WAIT
    return max(0, deadline - asyncio.get_running_loop().time())


@contextmanager
def watching(driver: AsyncConnection[Any]) -> Iterator[None]:
    """Do so for what psycopg itself sends in this block."""
    timer = _start(driver)
    try:
        yield
    finally:
        timer.cancel()


def keep_deadlines(engine: AsyncEngine) -> None:
    """Do so for whatever is sent on the engine's connections."""
    for what in ("before_cursor_execute", "commit", "rollback"):
        listen(engine.sync_engine, what, _watch)
    listen(
        engine.sync_engine, "after_cursor_execute", lambda connection, *_: _stop(connection.info)
    )
    listen(engine.sync_engine, "handle_error", _stop_after_error)
    listen(engine.sync_engine, "checkin", _stop_at_checkin)


def _watch(connection: Connection, *_: Any) -> None:
    if connection.invalidated:
        return
    _stop(connection.info)
    driver: Any = connection.connection.driver_connection
    connection.info[_TIMER] = _start(driver)


def _stop(info: dict[Any, Any]) -> None:
    if timer := info.pop(_TIMER, None):
        timer.cancel()


def _stop_after_error(context: ExceptionContext) -> None:
    if context.connection and not context.connection.invalidated:
        _stop(context.connection.info)


def _stop_at_checkin(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    _stop(entry.info)


def _start(driver: AsyncConnection[Any]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(get_time_left(), _shut_down, driver)


def _shut_down(driver: AsyncConnection[Any]) -> None:
    """End the wait for an answer: whoever waits reads that the connection was closed."""
    if driver.closed:
        return
    with suppress(OSError), socket.socket(fileno=os.dup(driver.pgconn.socket)) as ours:
        ours.shutdown(socket.SHUT_RDWR)
