"""What a back-fill says of itself: a line every few seconds, and one at its end."""

import time

import sqlalchemy as sa

from alembic_online import postgresql
from alembic_online.upgrade.backfill import BackfillOp
from alembic_online.upgrade.interruption import Progress
from alembic_online.upgrade.waiting import REPORT_SECONDS, log

# As of the last ANALYZE; a partitioned table is the sum of its partitions.
_ROWS = sa.text("""
    SELECT sum(greatest(reltuples, 0)) FROM pg_class
    WHERE oid = to_regclass(:table)
       OR oid IN (SELECT relid FROM pg_partition_tree(to_regclass(:table)) WHERE isleaf)
""")


class Report:
    def __init__(
        self, connection: sa.Connection, operation: BackfillOp, progress: Progress
    ) -> None:
        table = postgresql.quoted(connection.dialect, operation.table)
        self._subject = f"back-filling {operation.table_name}.{operation.column_name}"
        self._total = int(connection.scalar(_ROWS, {"table": table}) or 0)
        self._before = progress.seen
        self._start = self._told = time.monotonic()

    def tell(self, progress: Progress) -> None:
        """Say how far it is, if the last line is some time ago."""
        now = time.monotonic()
        if now - self._told < REPORT_SECONDS:
            return
        self._told = now
        rate = (progress.seen - self._before) / (now - self._start)
        log.info(
            "%s: %s%s%s",
            self._subject,
            self._share(progress),
            f", {rate:,.0f} rows/s",
            self._left(progress, rate),
        )

    def end(self, progress: Progress) -> None:
        seconds = time.monotonic() - self._start
        log.info(
            "%s: done in %.0f s, %s of %s rows changed",
            self._subject,
            seconds,
            f"{progress.changed:,}",
            f"{progress.seen:,}",
        )

    def _share(self, progress: Progress) -> str:
        if self._total <= progress.seen:  # the estimate is old
            return f"{progress.seen:,} rows"
        return f"{100 * progress.seen // self._total} %"

    def _left(self, progress: Progress, rate: float) -> str:
        if self._total <= progress.seen or not rate:
            return ""
        return f", {(self._total - progress.seen) / rate:,.0f} s left"
