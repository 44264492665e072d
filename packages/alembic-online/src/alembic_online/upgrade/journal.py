"""How far an interrupted revision came, kept as a comment on `alembic_version`.

CREATE INDEX CONCURRENTLY and VALIDATE run outside a transaction, so what precedes them in a
revision is committed before the revision is complete. The journal stands from then until the
commit that also writes the new version: whoever runs next skips the steps that are done.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from zlib import crc32

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError
from sqlalchemy.schema import DropTableComment, SetTableComment

from alembic_online.upgrade.interruption import COMMENT_START, Interrupted, Progress

_SQL = "ExecuteSQL"

T = TypeVar("T")


class Journal:
    """The steps of one revision at a time, in the order of its file."""

    def __init__(self, connection: sa.Connection, version_table: str, schema: str | None) -> None:
        self._connection = connection
        self._table = sa.Table(version_table, sa.MetaData(), schema=schema)
        self._entry: Interrupted | None = None
        self._written: Interrupted | None = None
        self._seen = 0  # how many operations of the revision came by
        self._resumed_at: int | None = None
        self._performing = self._committed = False
        sa.event.listen(connection, "commit", self._write)

    def read(self) -> Interrupted | None:
        """Return the revision that an earlier run left half done, if there is one."""
        table = self._connection.dialect.identifier_preparer.format_table(self._table)
        query = sa.text("SELECT obj_description(to_regclass(:table), 'pg_class')")
        comment = self._connection.scalar(query, {"table": table})
        if not comment or not comment.startswith(COMMENT_START):
            return None
        return Interrupted.parse(comment)

    def begin(self, step: RevisionStep) -> None:
        """Start a revision, or go on with it if it was interrupted."""
        self._entry = Interrupted.of(step)
        self._seen, self._resumed_at, self._performing = 0, None, False
        self._written = self.read()
        if self._written and str(self._written) == str(self._entry):
            self._entry, self._resumed_at = self._written, len(self._written.done)

    def once(
        self, operation: ops.MigrateOperation, perform: Callable[[], T], skip: Callable[[], T]
    ) -> T:
        """Perform an operation, or skip it if an interrupted run has committed it."""
        if self._entry is None or self._performing:  # stamping, or within another operation
            return perform()
        self._pass_over_other_sql(describe(operation))
        self._seen += 1
        if self._seen <= len(self._entry.done):
            self._expect(describe(operation), self._entry.done[self._seen - 1])
            return skip()
        self._performing, self._committed = True, False
        try:
            result = perform()
        finally:
            self._performing = False
        done = (*self._entry.done, describe(operation))
        self._entry = replace(self._entry, done=done, progress=None)
        if is_autocommit(self._connection):
            self._write(self._connection)
        return result

    def progress_of(self, operation: ops.MigrateOperation) -> Progress:
        """Return how far an interrupted run has come with the operation being performed."""
        found, step = self._entry and self._entry.progress, describe(operation)
        return found if found and found.step == step else Progress(step)

    def record(self, progress: Progress) -> None:
        """Write within a transaction how far it brings the step being performed."""
        self._entry = self._entry and replace(self._entry, progress=progress)
        self._write(self._connection)

    def rolled_back(self) -> None:
        """Be told that what was recorded last is not true."""
        self._written = self.read()
        progress = self._written.progress if self._written else None
        self._entry = self._entry and replace(self._entry, progress=progress)

    @property
    def owes(self) -> bool:
        """Tell whether a step that has committed some of itself is not on record yet."""
        is_known = self._entry is None or self._entry == self._written
        return self._committed and not is_known and not self._performing

    @property
    def resuming(self) -> bool:
        """Tell whether the operation being performed is the one that was interrupted.

        Only then may what it is about to make be there already.
        """
        return self._performing and self._seen - 1 == self._resumed_at

    @property
    def follows_ddl(self) -> bool:
        """Tell whether the step before the one being performed was other than plain SQL."""
        done = self._entry.done if self._entry else ()
        return bool(done) and not done[-1].startswith(_SQL)

    @property
    def goes_on(self) -> bool:
        """Tell whether this revision was interrupted."""
        return self._resumed_at is not None

    @property
    def position(self) -> str:
        """Name the step being performed; only for comparison."""
        return f"{self._entry} {self._seen}"

    def is_untouched(self) -> bool:
        """Tell whether no step of the revision has been committed."""
        return self._written is None or not (self._written.done or self._written.progress)

    def summary(self) -> str:
        """Say how much of the revision is in place."""
        done = self._written.done if self._written else ()
        progress = self._written and self._written.progress
        rows = f", and {progress.seen:,} rows of {progress.step!r}" if progress else ""
        return (
            f"{len(done)} earlier step(s) of the {self._entry} are in place"
            f" ({', '.join(done)}){rows}; the next run goes on from there."
        )

    def end(self, **_: Any) -> None:
        """Be told by Alembic that a revision is complete, within its last transaction."""
        self._entry = self._resumed_at = None
        if self._written:
            self._connection.execute(DropTableComment(self._table))
            self._written = None

    def forget(self) -> None:
        """Drop the entry: there is nothing to go on with."""
        self._written = self.read()
        self.end()
        self._connection.commit()

    def _write(self, connection: sa.Connection) -> None:
        """Before each commit, so that the entry is true whatever happens next."""
        self._committed = True
        if self._entry and self._entry != self._written:
            self._table.comment = self._entry.comment()
            connection.execute(SetTableComment(self._table))
            self._written = self._entry

    def _pass_over_other_sql(self, found: str) -> None:
        """Leave out SQL that is done and not asked for again, as by a loop over batches."""
        done = self._entry.done if self._entry else ()
        while self._seen < len(done) and done[self._seen] != found:
            if not done[self._seen].startswith(_SQL):
                return
            self._seen += 1

    def _expect(self, found: str, done: str) -> None:
        if found == done or self._entry is None:
            return
        raise CommandError(
            f"The {self._entry} was interrupted, and its file has changed since: {done!r} is done,"
            f" where the file now has {found!r}.\nPut that step back; or undo the steps that are"
            f" done by hand, then: COMMENT ON TABLE {self._table} IS NULL"
        )


def is_autocommit(connection: sa.Connection) -> bool:
    """Tell whether the connection is within an `autocommit_block()`."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def describe(operation: ops.MigrateOperation) -> str:
    """Name an operation and what it is about; values may differ from run to run."""
    if isinstance(operation, ops.ExecuteSQLOp):
        return f"{_SQL} {crc32(str(operation.sqltext).encode()):08x}"
    names = ("table_name", "source_table", "column_name", "index_name", "constraint_name")
    words = [getattr(operation, name, None) for name in names]
    if isinstance(operation, ops.AddColumnOp):
        words.append(operation.column.name)
    kind = type(operation).__name__.removesuffix("Op")
    return " ".join([kind, *(str(word) for word in words if isinstance(word, str))])
