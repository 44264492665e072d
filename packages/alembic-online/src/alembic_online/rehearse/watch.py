"""The engine of env.py, led to the copy, and every statement that it executes there."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread, get_ident
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationInfo
from alembic.util import CommandError

from alembic_online.rehearse.probe import State, look, look_from_outside
from alembic_online.rehearse.statements import Statement, condensed
from alembic_online.upgrade.journal import is_autocommit

SAMPLE_SECONDS = 0.01
_QUIET = re.compile(r"\s*(SELECT|SET|SHOW)\b", re.IGNORECASE)
_SESSION = ("options", "server_settings")  # of a connection: what env.py sets in its session


class Watch:
    """Given to `alembic_online.run()`, which it lets measure what is done on the copy."""

    def __init__(self, copy: sa.URL) -> None:
        self._copy = copy
        self.version_table = ""  # what is done to it is not the revision's
        self._revisions: list[tuple[str, list[Statement]]] = []
        self._begin()

    def _begin(self) -> None:
        self.connected = False
        self._thread = get_ident()
        self._statements: list[Statement] = []  # of the revision that is being run
        self._held: list[tuple[Statement, tuple[str, str], float]] = []  # since when
        self._changed: list[tuple[Statement, float]] = []
        self._live: dict[int, str] = {}  # the tables that others would be using
        self._before = State()
        self._started = self._lost = 0.0
        self._sampled: set[tuple[int, str]] = set()
        self._running = Event()

    def take(self) -> list[tuple[str, list[Statement]]]:
        """Return what each revision has executed since the last call, the failed one at the end."""
        if self._own_statements():
            self._end_revision("(failed)")
        found, self._revisions = self._revisions, []
        return found

    def _own_statements(self) -> list[Statement]:
        return [each for each in self._statements if self.version_table not in each.sql]

    def _end_revision(self, name: str) -> None:
        self._revisions.append((name, condensed(self._own_statements())))
        self._statements = []

    # --- what run() calls

    @contextmanager
    def watching(self, engine: sa.Engine) -> Iterator[None]:
        """Lead the engine's connections to the copy, and look at what is executed on them."""
        if isinstance(engine, sa.Connection):
            raise CommandError("env.py gives run() a connection: a rehearsal needs an engine")
        self._begin()
        with ExitStack() as stack:
            for name, listener in self._listeners():
                sa.event.listen(engine, name, listener)
                stack.callback(sa.event.remove, engine, name, listener)
            stack.enter_context(self._sampling())
            yield

    def on_version_apply(self, *, step: MigrationInfo, **_: Any) -> None:
        """Be told by Alembic that all statements so far were those of a revision."""
        self._end_revision(str(step.up_revision_id))

    # --- what the engine calls

    def _listeners(self) -> list[tuple[str, Any]]:
        return [
            ("do_connect", self._lead_to_copy),
            ("connect", self._verify),
            ("before_cursor_execute", self._before_statement),
            ("after_cursor_execute", self._after_statement),
            ("commit", self._release),
            ("rollback", self._release),
        ]

    def _lead_to_copy(self, dialect: sa.Dialect, *rest: Any) -> None:
        given: dict[str, Any] = rest[-1]
        url = self._copy.set(drivername=f"{dialect.name}+{dialect.driver}")
        _, ours = dialect.create_connect_args(url)
        kept = {name: given[name] for name in _SESSION if name in given}
        given.clear()
        given.update({**ours, **kept})

    def _verify(self, connection: Any, _: Any) -> None:
        """Make sure of it, whatever the engine was made of."""
        cursor = connection.cursor()
        cursor.execute("SELECT current_database()")
        (found,) = cursor.fetchone()
        cursor.close()
        connection.rollback()
        if found != self._copy.database:
            raise CommandError(f"the engine of env.py connects to {found}, and not to the copy")
        self.connected = True

    def _before_statement(self, connection: sa.Connection, *_: Any) -> None:
        if get_ident() != self._thread:  # one that reports how far a long statement has come
            return
        self._before = self._look(connection)
        self._live = self._live or self._before.names
        self._sampled = set()
        self._started = self._now()
        self._running.set()

    def _after_statement(self, connection: sa.Connection, _: Any, sql: str, *__: Any) -> None:
        if get_ident() != self._thread:
            return
        self._running.clear()
        seconds = self._now() - self._started
        after = self._look(connection)
        statement = self._measured(sql, seconds, after)
        locks = (self._sampled | after.locks) - self._before.locks
        statement.under_earlier_locks = any(oid in self._live for oid, _ in self._before.locks)
        for lock in [(self._live[oid], mode) for oid, mode in locks if oid in self._live]:
            statement.locks[lock] = seconds
            self._held.append((statement, lock, self._started))
        if statement.changed:
            self._changed.append((statement, self._started))
        if is_autocommit(connection):
            self._release(connection)
        if statement.locks or statement.written or not _QUIET.match(sql):
            self._statements.append(statement)

    def _measured(self, sql: str, seconds: float, after: State) -> Statement:
        before = self._before
        rewritten = [
            name
            for oid, name in self._live.items()
            if oid in after.files and after.files[oid] != before.files.get(oid)
        ]
        return Statement(
            " ".join(sql.split()).replace("%%", "%"),  # doubled for the driver
            seconds,
            read=after.read - before.read,
            written=after.written - before.written,
            changed=after.changed - before.changed,
            rewritten=rewritten,
            wal=after.wal - before.wal,
        )

    def _release(self, _: sa.Connection) -> None:
        """Note how long what the transaction had locked was locked."""
        if get_ident() != self._thread:
            return
        now = self._now()
        for statement, lock, since in self._held:
            statement.locks[lock] = now - since
        for statement, since in self._changed:
            statement.changed_for = now - since
        self._held, self._changed = [], []

    def _look(self, connection: sa.Connection) -> State:
        since = time.monotonic()
        state = look(connection)
        self._lost += time.monotonic() - since
        return state

    def _now(self) -> float:
        """Return seconds, without those that the looking itself has taken."""
        return time.monotonic() - self._lost

    # --- beside it: locks that are gone when the statement has ended

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        over = Event()
        thread = Thread(target=self._sample, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _sample(self, over: Event) -> None:
        engine = sa.create_engine(self._copy, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            while not over.wait(SAMPLE_SECONDS):
                if self._running.is_set():
                    seen = look_from_outside(connection, self._before.pid)
                    self._sampled |= seen
