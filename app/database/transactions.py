"""One transaction for each request, and when it is run again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError

from app.database.engine import create_engine
from app.database.errors import sqlstate
from app.database.pool import Pool
from app.database.session import Session
from app.database.url import require_postgresql

_T = TypeVar("_T")

_ATTEMPTS = 3
# serialization_failure, deadlock_detected, foreign_key_violation
_ROLLED_BACK = {"40001", "40P01", "23503"}


class Database:
    """One pool of connections, and the transactions that run on it."""

    def __init__(self, url: URL, *, pool_size: int, prepared_statements: bool = True) -> None:
        """Connect lazily. Raise `DatabaseURLError` for anything but PostgreSQL."""
        require_postgresql(url)
        self.engine = create_engine(url, prepared_statements=prepared_statements)
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


async def release_connection(session: Session) -> None:
    """End the transaction so far, so that slow work such as hashing holds no connection."""
    await session.commit()


def _is_worth_repeating(error: DBAPIError | StaleDataError, *, committing: bool) -> bool:
    if isinstance(error, StaleDataError) or sqlstate(error) in _ROLLED_BACK:
        return True
    return error.connection_invalidated and not committing
