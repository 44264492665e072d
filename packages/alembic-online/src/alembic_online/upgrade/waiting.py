"""What a migration waits for: who holds the lock, and how far a long step has come."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

import sqlalchemy as sa

log = logging.getLogger("alembic.online")

REPORT_SECONDS = 5.0

T = TypeVar("T")

# Of the sessions of other roles only the pid is shown, unless ours is in pg_read_all_stats.
_SESSION = r"""
    CASE WHEN query = '<insufficient privilege>'
        THEN format('pid %s, of role %s: pg_read_all_stats may see more', a.pid, usename)
        ELSE format('pid %s, %s%s: %s', a.pid, coalesce(state, backend_type),
            ', in a transaction for '
                || extract(epoch FROM clock_timestamp() - xact_start)::int || ' s',
            left(regexp_replace(query, '\s+', ' ', 'g'), 80)) END
"""
_HOLDERS = f"""
    SELECT {_SESSION} FROM pg_stat_activity AS a JOIN (
        SELECT l.pid, bool_or(relname = ANY(CAST(:tables AS text[]))) AS concerned
        FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
        WHERE l.granted AND relkind IN ('r', 'p') AND relnamespace <> 'pg_catalog'::regnamespace
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY l.pid
    ) AS locks USING (pid)
    WHERE a.pid <> pg_backend_pid() ORDER BY concerned DESC, xact_start LIMIT 3
"""  # noqa: S608  # no part comes from outside
_BLOCKERS = f"""
    SELECT {_SESSION} FROM pg_stat_activity AS a WHERE a.pid = ANY(pg_blocking_pids(:pid))
"""  # noqa: S608  # no part comes from outside
_ADVISORY_HOLDER = f"""
    SELECT {_SESSION} FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
    WHERE locktype = 'advisory' AND l.granted AND classid = :family AND objid = :key
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  # no part comes from outside
_OLD_TRANSACTIONS = f"""
    SELECT {_SESSION} FROM pg_stat_activity AS a
    WHERE datname = current_database() AND a.pid <> pg_backend_pid()
      AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
      AND clock_timestamp() - xact_start > make_interval(secs => :seconds)
    ORDER BY xact_start LIMIT 3
"""  # noqa: S608  # no part comes from outside
_INDEX_PROGRESS = """
    SELECT concat_ws(', ', phase, 100 * blocks_done / nullif(blocks_total, 0) || ' % of it')
    FROM pg_stat_progress_create_index WHERE pid = :pid
"""


def lock_holders(connection: sa.Connection, tables: Sequence[str]) -> list[str]:
    """Describe at most three sessions that hold locks, those on `tables` first."""
    return _lines(connection, _HOLDERS, tables=list(tables))


def advisory_lock_holders(connection: sa.Connection, family: int, key: int) -> list[str]:
    return _lines(connection, _ADVISORY_HOLDER, family=family, key=key)


def old_transactions(connection: sa.Connection, seconds: float) -> list[str]:
    """Describe at most three that VACUUM has to spare rows for, and are open for longer."""
    return _lines(connection, _OLD_TRANSACTIONS, seconds=seconds)


def indented(lines: Sequence[str]) -> str:
    return "".join(f"\n    {line}" for line in lines)


@contextmanager
def reporting(connection: sa.Connection, step: str) -> Iterator[None]:
    """Log every few seconds, by a second connection, where the long step of the first one is."""
    pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    done = Event()
    thread = Thread(target=_report, args=(connection.engine, pid, step, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _report(engine: sa.Engine, pid: int, step: str, done: Event) -> None:
    seconds = 0.0
    while not done.wait(REPORT_SECONDS):
        seconds += REPORT_SECONDS
        try:
            progress, blockers = _on_connection(engine, lambda own: _progress(own, pid))
        except sa.exc.SQLAlchemyError:
            continue  # no connection to spare is no reason to stop
        waits = f", held up by{indented(blockers)}" if blockers else ""
        log.info("%s: %.0f s%s%s", step, seconds, "".join(f", {line}" for line in progress), waits)


def _progress(connection: sa.Connection, pid: int) -> tuple[list[str], list[str]]:
    progress = _lines(connection, _INDEX_PROGRESS, pid=pid)
    return progress, _lines(connection, _BLOCKERS, pid=pid)


def _on_connection(engine: sa.Engine, ask: Callable[[sa.Connection], T]) -> T:
    """Open one for the moment only: CREATE INDEX CONCURRENTLY waits for older snapshots."""
    if engine.dialect.is_async:
        return asyncio.run(_in_loop(engine, ask))
    with engine.connect() as connection:
        return ask(connection)


async def _in_loop(engine: sa.Engine, ask: Callable[[sa.Connection], T]) -> T:
    from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415  # takes a while, for few

    async with AsyncEngine(engine).connect() as connection:
        try:
            return await connection.run_sync(ask)
        finally:  # nothing of this loop may get into the pool of another
            await connection.invalidate()


def _lines(connection: sa.Connection, query: str, **values: object) -> list[str]:
    return list(connection.scalars(sa.text(query.replace("::", "\\:\\:")), values))
