"""The database: the engine, and one transaction for each request."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy import URL, NullPool
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    create_async_engine,
)
from sqlalchemy.orm.exc import StaleDataError

from app.database_url import require_postgresql
from app.pool import Pool
from app.session import Session

_T = TypeVar("_T")

# What PostgreSQL is told for each connection; milliseconds.
_SERVER_SETTINGS: Final = {
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}
# What libpq is told, unless the URL says otherwise; seconds.
_CLIENT_SETTINGS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_ATTEMPTS = 3
# serialization_failure, deadlock_detected, foreign_key_violation
_ROLLED_BACK = {"40001", "40P01", "23503"}
_CONNECTION_ERRORS = {"OperationalError", "ConnectionTimeout", "InterfaceError"}
_UNAVAILABLE_CLASSES = {"08", "40", "53", "57"}  # connection, rollback, resources, intervention
_UNAVAILABLE = {"25P03", "25P04", "55P03", "25006"}  # time limits, lock_not_available, read only


class Database:
    """One pool of connections, and the transactions that run on it."""

    def __init__(self, url: URL, *, pool_size: int, prepared_statements: bool = True) -> None:
        """Connect lazily. Raise `DatabaseURLError` for anything but PostgreSQL."""
        require_postgresql(url)
        self.engine = _create_engine(url, prepared_statements=prepared_statements)
        self.pool = Pool(self.engine, pool_size)

    def new_session(self, *, read_only: bool) -> Session:
        """Open a session; one that reads sees each statement's own snapshot, and sends no BEGIN."""
        return Session(self.pool, autocommit=read_only)

    def autocommit(self) -> Session:
        """Open a session in which each statement, also one that writes, is its own transaction."""
        return Session(self.pool, autocommit=True)

    async def transact(
        self, work: Callable[[Session], Awaitable[_T]], *, read_only: bool = False
    ) -> _T:
        """Run `work` in a transaction and commit it, or only read, and then write no object.

        All of it runs again, three times at most, where that may give another answer and the
        database has certainly kept nothing: after a serialization failure or a deadlock, when a
        row it had read is gone by the time it is written, or referred to, and when the connection
        was lost before COMMIT.
        """
        for remaining in reversed(range(_ATTEMPTS)):
            session = self.new_session(read_only=read_only)
            committing = False
            try:
                result = await work(session)
                committing = not read_only  # else each statement was its own transaction
                if committing:
                    await session.commit()
            except (DBAPIError, StaleDataError) as error:
                if remaining and _is_worth_repeating(error, committing=committing):
                    continue
                raise
            finally:
                await session.close()
            return result
        raise AssertionError("unreachable")

    @property
    def connections_in_use(self) -> int:
        return self.pool.in_use

    async def dispose(self) -> None:
        await self.pool.close()


def _create_engine(url: URL, *, prepared_statements: bool) -> AsyncEngine:
    ours = " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items())
    options = f"{ours} {url.query.get('options', '')}".rstrip()  # of two, the URL's comes last
    engine = create_async_engine(
        url,
        poolclass=NullPool,  # `Pool` keeps them
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,
        connect_args={
            **{name: value for name, value in _CLIENT_SETTINGS.items() if name not in url.query},
            "options": options,
            **({} if prepared_statements else {"prepare_threshold": None}),
        },
    )
    listen(engine.sync_engine, "handle_error", _discard_outdated_plan)
    return engine


def _discard_outdated_plan(context: ExceptionContext) -> None:
    """Drop connections whose prepared statements a migration has made unusable.

    PostgreSQL refuses them for ever (`cached plan must not change result type`, 0A000, a message
    that servers translate), and psycopg keeps preparing under the same name. As after a lost
    connection, the request is run again on a new one.
    """
    diagnostics = getattr(context.original_exception, "diag", None)
    if getattr(diagnostics, "source_function", None) == "RevalidateCachedQuery":
        context.is_disconnect = True


async def release_connection(session: Session) -> None:
    """End the transaction so far, so that slow work such as hashing holds no connection."""
    await session.commit()


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's five-character error code, or None if the server has said nothing."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _is_worth_repeating(error: DBAPIError | StaleDataError, *, committing: bool) -> bool:
    if isinstance(error, StaleDataError) or sqlstate(error) in _ROLLED_BACK:
        return True
    return error.connection_invalidated and not committing


def is_unavailable(error: DBAPIError) -> bool:
    """Tell whether the database is busy or absent, so that trying again later may help."""
    state = sqlstate(error)
    if state is None:  # the connection failed; the server has said nothing
        return error.connection_invalidated or type(error.orig).__name__ in _CONNECTION_ERRORS
    return state[:2] in _UNAVAILABLE_CLASSES or state in _UNAVAILABLE


def violates(error: IntegrityError, constraint: str) -> bool:
    """Tell whether the database refused a row because of the named constraint."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None) == constraint
