"""One runner at a time, by an advisory lock that ends with its connection."""

import random
import time
from zlib import crc32

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from alembic_online.upgrade.waiting import advisory_lock_holders, indented, log

# The two halves of the key. PostgreSQL keeps advisory locks apart by database, we by version table.
_FAMILY = crc32(b"alembic") & 0x7FFFFFFF
POLL_SECONDS = 0.2
_POLLS_PER_REPORT = 100


def take_turn(connection: sa.Connection, context: MigrationContext) -> None:
    """Wait until no other run migrates this version table.

    Polled: a session that waits inside pg_advisory_lock() holds a snapshot, for which CREATE INDEX
    CONCURRENTLY of the session that has the lock would wait in turn.
    """
    key = _turn_key(context)
    polls = 0
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_FAMILY, key))):
        if polls % _POLLS_PER_REPORT == 0:
            holders = advisory_lock_holders(connection, _FAMILY, key)
            log.warning("another migration is running, waiting for it%s", indented(holders))
        connection.commit()
        polls += 1
        time.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)  # noqa: S311  # spreads the pollers
    connection.commit()


def _turn_key(context: MigrationContext) -> int:
    table = f"{context.version_table_schema or ''}.{context.version_table}"
    return crc32(table.encode()) & 0x7FFFFFFF


def offline_turn(context: MigrationContext) -> str:
    """Return SQL that refuses to start while another migration runs."""
    return f"""DO $$ BEGIN
    IF NOT pg_try_advisory_lock({_FAMILY}, {_turn_key(context)}) THEN
        RAISE EXCEPTION 'another migration is running';
    END IF;
END $$"""
