"""What PostgreSQL tells about the session that migrates: its locks, its counters, its files."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

_FLUSH = "SELECT pg_stat_force_next_flush()"  # PostgreSQL 15 brought it
_FLUSH_SINCE = (15,)
_COUNTS = """
    SELECT pg_backend_pid(), pg_current_wal_insert_lsn() - '0/0',
        coalesce(sum(read), 0), coalesce(sum(written), 0), coalesce(sum(changed), 0)
    FROM (
        SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS read,
            n_tup_ins + n_tup_upd + n_tup_del AS written, n_tup_upd + n_tup_del AS changed
        FROM pg_stat_user_tables
        UNION ALL
        SELECT seq_tup_read + coalesce(idx_tup_fetch, 0), n_tup_ins + n_tup_upd + n_tup_del,
            n_tup_upd + n_tup_del
        FROM pg_stat_xact_user_tables
    ) AS counts
"""
_FILES = """
    SELECT c.oid, c.oid::regclass::text, pg_relation_filenode(c.oid)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm') AND nspname !~ '^(pg_|information_schema$)'
"""
_LOCKS = """
    SELECT relation, mode FROM pg_locks
    WHERE locktype = 'relation' AND granted AND pid = {pid}
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class State:
    """How things stand between two statements."""

    pid: int = 0
    wal: int = 0
    read: int = 0
    written: int = 0
    changed: int = 0
    files: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    locks: frozenset[tuple[int, str]] = frozenset()


def look(connection: sa.Connection) -> State:
    """Ask the session itself, by its own cursor: no event of SQLAlchemy is to see it."""
    if (connection.dialect.server_version_info or ()) >= _FLUSH_SINCE:
        _rows(connection, _FLUSH)
    ((pid, wal, read, written, changed),) = _rows(connection, _COUNTS)
    tables = _rows(connection, _FILES)
    return State(
        pid,
        int(wal),
        int(read),
        int(written),
        int(changed),
        files={oid: file for oid, _, file in tables},
        names={oid: name for oid, name, _ in tables},
        locks=frozenset(map(tuple, _rows(connection, _LOCKS.format(pid=pid)))),
    )


def look_from_outside(connection: sa.Connection, pid: int) -> frozenset[tuple[int, str]]:
    """Ask for the locks of a session that is busy with a statement."""
    rows = connection.exec_driver_sql(_LOCKS.format(pid=pid))
    return frozenset((row.relation, row.mode) for row in rows)


def _rows(connection: sa.Connection, query: str) -> list[Any]:
    cursor = connection.connection.cursor()
    try:
        cursor.execute(query)
        return list(cursor.fetchall())
    finally:
        cursor.close()
