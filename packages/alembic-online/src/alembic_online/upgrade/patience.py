"""How often a migration tries again when a table is busy."""

import random
import time

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import sqlstate
from alembic_online.upgrade.journal import is_autocommit
from alembic_online.upgrade.step import LOCK_TIMEOUT, Run
from alembic_online.upgrade.waiting import indented, lock_holders, log

GIVE_UP_SECONDS = 300.0
PAUSE_SECONDS = 2.0  # on average: others are held up at most 300 ms of every two seconds
_BUSY = {
    "55P03": f"the lock was not free within {LOCK_TIMEOUT}",  # lock_not_available
    "40P01": "a deadlock was resolved",  # deadlock_detected
}


def is_busy(error: DBAPIError) -> bool:
    return sqlstate(error) in _BUSY


class Patience:
    """Waits between tries, up to five minutes for the same step."""

    def __init__(self) -> None:
        self._step: object = None
        self._deadline = 0.0

    def wait(self, error: DBAPIError, connection: sa.Connection, run: Run) -> None:
        """Say who is in the way and sleep a little, or raise if trying again is of no use."""
        reason = _BUSY.get(sqlstate(error))
        if reason is None:
            raise error
        where = " and ".join(run.concerned) or "a table"
        in_the_way = f"{where} is busy, {reason}{_holders(connection, run)}"
        if self._is_over(run):
            raise CommandError(
                f"Gave up after {GIVE_UP_SECONDS:.0f} s: {in_the_way}\n"
                "Run the command again when those are done: it goes on from here."
            ) from error
        log.warning("%s\n    trying again", in_the_way)
        time.sleep(random.uniform(0.5, 1.5) * PAUSE_SECONDS)  # noqa: S311  # no two in step

    def _is_over(self, run: Run) -> bool:
        step = run.journal and run.journal.position
        if step != self._step:
            self._step, self._deadline = step, time.monotonic() + GIVE_UP_SECONDS
        return time.monotonic() > self._deadline


def _holders(connection: sa.Connection, run: Run) -> str:
    lines = lock_holders(connection, run.concerned)
    if not is_autocommit(connection):
        connection.rollback()
    return indented(lines) if lines else " (by a transaction that has ended since)"
