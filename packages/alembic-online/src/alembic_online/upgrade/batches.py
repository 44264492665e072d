"""A back-fill on a table in use: along its primary key, each batch a transaction of its own.

A batch is a range of keys. Where it ends stands in the journal, committed with its rows: no row is
filled twice and none is left out, whenever the run is killed.
"""

import time
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from alembic_online import postgresql
from alembic_online.upgrade.backfill import BackfillOp, update_at_once
from alembic_online.upgrade.interruption import Progress
from alembic_online.upgrade.journal import Journal
from alembic_online.upgrade.keys import Key, find_key
from alembic_online.upgrade.pace import LOCKED_SECONDS, Pace
from alembic_online.upgrade.patience import Patience, is_busy
from alembic_online.upgrade.procedures import write_procedure
from alembic_online.upgrade.refusal import RowsRefuseError, is_of_rows
from alembic_online.upgrade.report import Report
from alembic_online.upgrade.step import LOCK_TIMEOUT, Step
from alembic_online.upgrade.throttle import Throttle

# The walk is along the key, whatever the planner thinks of its statistics.
_SETTINGS = sa.text("""
    SELECT set_config('lock_timeout', :patience, true), set_config('enable_seqscan', 'off', true),
           set_config('jit', 'off', true)
""")
_FEW = 10  # a tenth of the rows changes what the planner should know


def backfill(step: Step, operation: BackfillOp) -> None:
    journal = step.run.journal
    if step.is_new(operation.table):
        update_at_once(step.operations, operation)
        return
    if journal is None:
        write_procedure(step, operation)
        return
    key = _checked_key(step, operation)
    throttle = Throttle(step.connection, operation)
    with step.outside_transaction():
        done = _Walk(step, operation, key, journal, throttle).go()
        if done.changed * _FEW > done.seen:
            with step.unhurried(f"analyzing {operation.table_name}"):
                step.execute(f"ANALYZE {step.quoted(operation.table)}")


def _checked_key(step: Step, operation: BackfillOp) -> Key:
    """Have PostgreSQL plan the UPDATE, which finds whatever is wrong with it but the rows."""
    key = find_key(step.connection, operation.table)
    if key is None:
        raise operation.refusal("it has no primary key to walk along")
    if moving := set(key.names) & set(operation.values):
        raise operation.refusal(f"{', '.join(moving)} is of the primary key, which it walks along")
    try:
        step.execute(f"EXPLAIN {operation.sql()}")
    except DBAPIError as error:
        raise operation.refusal(postgresql.reason(error)) from error
    return key


class _Walk:
    """One run of a back-fill, from where the last one stopped."""

    def __init__(
        self, step: Step, operation: BackfillOp, key: Key, journal: Journal, throttle: Throttle
    ) -> None:
        self._step, self._operation, self._key, self._journal = step, operation, key, journal
        self._throttle = throttle
        self._connection = step.connection
        self._progress = journal.progress_of(operation)
        self._pace, self._patience = Pace(operation.batch), Patience()

    def go(self) -> Progress:
        report = Report(self._connection, self._operation, self._progress)
        while self._advance():
            report.tell(self._progress)
        report.end(self._progress)
        return self._progress

    def _advance(self) -> bool:
        """Fill the next batch; if it can't be had, a smaller one will be tried."""
        before = self._progress
        self._throttle.wait()
        try:
            self._progress = self._fill()
        except DBAPIError as error:
            if self._connection.invalidated:
                raise
            self._journal.rolled_back()
            self._cope(error)
            return True
        if self._progress.changed > before.changed:
            time.sleep(self._operation.pause)
        return self._progress != before

    def _fill(self) -> Progress:
        with self._step.own_transaction():
            self._settle()
            end = self._connection.execute(self._next(self._pace.size)).first()
            if end is None:
                return self._progress
            place = replace(self._progress, after=tuple(end[1:]), seen=self._progress.seen + end[0])
            self._journal.record(place)  # first, so that the rows are locked no longer than need be
            start = time.monotonic()
            update = self._operation.update(*self._beyond(), self._key.up_to(place.after))
            changed = self._connection.execute(update).rowcount
        self._pace.adapt(time.monotonic() - start)
        return replace(place, changed=place.changed + changed)

    def _settle(self) -> None:
        # Who waits for one row alone keeps no other from anybody.
        patience = LOCK_TIMEOUT if self._pace.size == 1 else f"{LOCKED_SECONDS * 1000:.0f}ms"
        self._connection.execute(_SETTINGS, {"patience": patience})

    def _next(self, rows: int) -> sa.Select[Any]:
        return self._key.end(rows, *self._beyond())

    def _beyond(self) -> list[sa.ColumnElement[bool]]:
        return [self._key.beyond(self._progress.after)] if self._progress.after else []

    def _cope(self, error: DBAPIError) -> None:
        """Halve the batch, down to the one row that is in the way: wait for it, or name it."""
        if self._pace.size > 1 and (is_busy(error) or is_of_rows(error)):
            self._pace.searching |= is_of_rows(error)
            self._pace.halve()
            time.sleep(self._operation.pause)
        elif is_of_rows(error):
            raise self._refusal(error) from error
        else:
            self._patience.wait(error, self._connection, self._step.run)

    def _refusal(self, error: DBAPIError) -> RowsRefuseError:
        row = self._connection.execute(self._next(1)).first()
        said, detail = postgresql.message_of(error)
        return RowsRefuseError(
            f"{self._operation.table_name} cannot be back-filled where"
            f" {self._key.shown(tuple(row[1:]) if row else ())}: {said}."
            f"{f' {detail}' if detail else ''}\n"
            "The rows before it are done. Correct the row, or the expression, and run the command"
            " again."
        )
