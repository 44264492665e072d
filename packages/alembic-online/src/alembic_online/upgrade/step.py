"""One directive of a revision while it is carried out, and what it knows of the run."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import sqlalchemy as sa
from alembic.operations import Operations

from alembic_online import postgresql
from alembic_online.upgrade.journal import Journal, is_autocommit
from alembic_online.upgrade.waiting import reporting

LOCK_TIMEOUT = "300ms"  # how long others may have to queue behind a migration


@dataclass
class Run:
    """One command on PostgreSQL; without a journal it only writes SQL."""

    journal: Journal | None = None
    created: set[str] = field(default_factory=set)  # tables that no one else can be using yet
    concerned: tuple[str, ...] = ()  # tables of the operation being performed


@dataclass
class Step:
    operations: Operations
    run: Run

    @property
    def dialect(self) -> sa.Dialect:
        return self.operations.migration_context.dialect

    @property
    def connection(self) -> sa.Connection:
        return self.operations.get_bind()

    @property
    def resuming(self) -> bool:
        """Tell whether this very step was interrupted, so that some of it may be there already."""
        return self.run.journal is not None and self.run.journal.resuming

    def is_new(self, table: sa.Table | sa.TableClause) -> bool:
        """Tell whether this run has made the table, so that no one else can be using it."""
        return self.quoted(table) in self.run.created

    def is_live(self, table: sa.Table) -> bool:
        """Tell whether others may be using the table, and PostgreSQL can spare them."""
        if self.is_new(table):
            return False
        return self.run.journal is None or not postgresql.is_partitioned(self.connection, table)

    def exists(self, name: str, schema: str | None) -> bool:
        """Tell whether there is such a table; while SQL is only written, it may be."""
        if self.run.journal is None:
            return True
        return sa.inspect(self.connection).has_table(name, schema)

    def quote(self, name: str) -> str:
        return postgresql.quote(self.dialect, name)

    def quoted(self, table: sa.Table | sa.TableClause) -> str:
        return postgresql.quoted(self.dialect, table)

    def name_of(self, item: sa.Index | sa.Constraint) -> str | None:
        """Return the name, as its convention and the limit of its length have it."""
        preparer = self.dialect.identifier_preparer
        formatted = None if item.name is None else preparer.format_constraint(item)
        # What it doubles for the driver is a single percent sign.
        return formatted and preparer.unformat_identifiers(formatted)[0].replace("%%", "%")

    def execute(self, sql: str) -> None:
        self.operations.migration_context.execute(postgresql.statement(sql))

    def note(self, text: str) -> None:
        """Tell whoever carries out the SQL by hand."""
        if self.run.journal is None:
            self.operations.migration_context.impl.static_output(f"-- {text}")

    @contextmanager
    def outside_transaction(self) -> Iterator[None]:
        """Commit, then let each statement be a transaction of its own."""
        if self.run.journal and is_autocommit(self.connection):  # the revision has done that itself
            yield
            return
        with self.operations.migration_context.autocommit_block():
            yield

    @contextmanager
    def own_transaction(self) -> Iterator[None]:
        """Be one transaction, outside of the revision's."""
        self.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if not self.connection.invalidated:
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def unhurried(self, doing: str) -> Iterator[None]:
        """Be outside of the transaction for a statement that blocks no one, and so may wait."""
        with self.outside_transaction():
            self.execute("SET lock_timeout = 0")
            online = self.run.journal is not None
            try:
                with reporting(self.connection, doing) if online else nullcontext():
                    yield
            finally:
                if not (online and self.connection.invalidated):
                    self.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
