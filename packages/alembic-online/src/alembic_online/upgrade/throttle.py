"""What a back-fill waits for before a batch: replicas that lag, transactions that stay open."""

import time

import sqlalchemy as sa

from alembic_online.upgrade.backfill import BackfillOp
from alembic_online.upgrade.waiting import REPORT_SECONDS, indented, log, old_transactions

POLL_SECONDS = 0.5
_SEES_ALL = sa.text("SELECT pg_has_role('pg_read_all_stats', 'USAGE')")
_LAG = sa.text("""
    SELECT extract(epoch FROM max(greatest(write_lag, flush_lag, replay_lag)))
    FROM pg_stat_replication
""")


class Throttle:
    def __init__(self, connection: sa.Connection, operation: BackfillOp) -> None:
        self._connection, self._operation = connection, operation
        self._told = 0.0
        limits = (operation.max_lag, operation.max_transaction)
        if limits != (None, None) and not connection.scalar(_SEES_ALL):
            raise operation.refusal(
                "max_lag= and max_transaction= need a role that may see what the sessions of others"
                " do: GRANT pg_read_all_stats"
            )

    def wait(self) -> None:
        while reason := self._lag() or self._open_transactions():
            if time.monotonic() - self._told >= REPORT_SECONDS:
                self._told = time.monotonic()
                log.warning("back-filling %s: waiting, %s", self._operation.table_name, reason)
            time.sleep(POLL_SECONDS)

    def _lag(self) -> str:
        most = self._operation.max_lag
        lag = None if most is None else self._connection.scalar(_LAG)
        return f"a replica is {lag:.1f} s behind" if lag is not None and lag > most else ""

    def _open_transactions(self) -> str:
        """Name those because of which what the batches replace cannot be cleared away."""
        longest = self._operation.max_transaction
        found = [] if longest is None else old_transactions(self._connection, longest)
        return (
            f"transactions are open for more than {longest:g} s{indented(found)}" if found else ""
        )
