"""Sessions, the one place where they are committed, and when their work is run again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import SystemRandom
from typing import TypeVar, cast

from sqlalchemy import URL, QueuePool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.commits import counting, note, uncounted
from app.database.deadline import LONGEST_WAIT, get_time_left
from app.database.engine import AUTOCOMMIT, READ_ONLY, create_engine
from app.database.errors import DeadlineExceeded, OutcomeUnknown, has_lost_worker, is_repeatable
from app.database.url import require_postgresql

_T = TypeVar("_T")
_R = TypeVar("_R", bound=SQLModel)
_TRIES = 5
_LONGEST_PAUSE = 0.02  # seconds before the second try, and twice as many before each further one


class Database:
    """One pool of connections, and the sessions on it.

    `engine` is an ordinary one. On `autocommit` each statement is its own transaction.
    """

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int,
        prepared_statements: bool = True,
        request_timeout: float = LONGEST_WAIT,
    ) -> None:
        """Connect lazily. Raise `DatabaseURLError` for anything but PostgreSQL."""
        self.request_timeout = request_timeout
        require_postgresql(url)
        self.engine = create_engine(
            url, pool_size=pool_size, prepared_statements=prepared_statements
        )
        self.autocommit = self.engine.execution_options(**AUTOCOMMIT)
        self.reading = self.engine.execution_options(**READ_ONLY)
        self.new_session = async_sessionmaker(
            self.engine, class_=AsyncSession, expire_on_commit=False
        )

    async def transact(
        self, work: Callable[[AsyncSession], Awaitable[_T]], *, read_only: bool = False
    ) -> _T:
        """Run `work` in a transaction and commit it, or only read; see `repeat` for how often."""

        async def attempt() -> _T:
            async with self.new_session(bind=self.reading if read_only else self.engine) as session:
                result = await work(session)
                await commit(session)
                return result

        return await repeat(attempt)

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection on which each statement is its own transaction."""
        return self.autocommit.connect()

    @asynccontextmanager
    async def autocommitting(self) -> AsyncIterator[AsyncSession]:
        """Open a session in which each statement, also one that writes, is its own transaction."""
        async with self.new_session(bind=self.autocommit) as session:
            yield session
            await commit(session)

    @property
    def connections_in_use(self) -> int:
        return cast(QueuePool, self.engine.pool).checkedout()

    async def dispose(self) -> None:
        await self.engine.dispose()


async def repeat(attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Run it, five times at most, while the database has certainly kept nothing of it.

    That is after a serialization failure or a deadlock, when a row it had read is gone by the time
    it is written, and when the connection was lost before COMMIT; never once it has committed
    something, in whatever session.
    """
    for number in range(1, _TRIES):
        with counting() as commits:
            try:
                return await attempt()
            except (DBAPIError, StaleDataError) as error:
                if not is_repeatable(error):
                    raise
                # Those who were in each other's way shall not start at once again.
                pause = _LONGEST_PAUSE * number * SystemRandom().random()
                if get_time_left() <= pause:
                    raise DeadlineExceeded from error
                if commits:
                    raise
        await asyncio.sleep(pause)
    return await attempt()


async def commit(session: AsyncSession) -> None:
    """Write what has changed and end the transaction, or raise `OutcomeUnknown`."""
    if not session.in_transaction():
        return
    if session.new or session.dirty or session.deleted:
        await session.flush()
    try:
        with uncounted():  # until it is known to have been one
            await session.commit()
    except DBAPIError as error:
        if error.connection_invalidated or has_lost_worker(error):
            raise OutcomeUnknown from error
        raise
    note()


async def release_connection(session: AsyncSession) -> None:
    """End a transaction that has only read, so that slow work such as hashing holds no connection.

    What was loaded stays, and the next statement begins another transaction.
    """
    with uncounted():
        await session.commit()


def attach(session: AsyncSession, row: _R) -> _R:
    """Return a row that was loaded elsewhere as the session's own, and begin no transaction by it.

    Neither `merge` without loading nor the end of an empty transaction sends anything.
    """
    was_in_transaction = session.in_transaction()
    attached = session.sync_session.merge(row, load=False)
    if not was_in_transaction:
        session.sync_session.commit()
    return attached
