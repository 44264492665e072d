"""Sessions, the one place where they are committed, and when their work is run again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from random import SystemRandom
from typing import TypeVar, cast

from sqlalchemy import URL, QueuePool
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.deadline import LONGEST_WAIT, get_time_left
from app.database.engine import AUTOCOMMIT, READ_ONLY, create_engine
from app.database.errors import OutcomeUnknown, is_repeatable
from app.database.url import require_postgresql

_T = TypeVar("_T")
_R = TypeVar("_R", bound=SQLModel)
_TRIES = 5
_LONGEST_PAUSE = 0.02  # seconds before the second try, and twice as many before each further one
_HAS_COMMITTED = "has committed"


class _Session(Session):
    """SQLModel's own; a name of ours, for events of our sessions alone."""


@listens_for(_Session, "after_commit")
def _note_commit(session: Session) -> None:
    session.info[_HAS_COMMITTED] = True


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
            self.engine, class_=AsyncSession, sync_session_class=_Session, expire_on_commit=False
        )

    async def transact(
        self, work: Callable[[AsyncSession], Awaitable[_T]], *, read_only: bool = False
    ) -> _T:
        """Run `work` in a transaction and commit it, or only read; see `repeat` for how often."""
        session: AsyncSession | None = None

        async def attempt() -> _T:
            nonlocal session
            async with self.new_session(bind=self.reading if read_only else self.engine) as session:
                result = await work(session)
                await commit(session)
                return result

        return await repeat(attempt, lambda: session)

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


async def repeat(
    attempt: Callable[[], Awaitable[_T]], get_session: Callable[[], AsyncSession | None]
) -> _T:
    """Run it, five times at most, while the database has certainly kept nothing of it.

    That is after a serialization failure or a deadlock, when a row it had read is gone by the time
    it is written, and when the connection was lost before COMMIT; never once its session has
    committed something.
    """
    for number in range(1, _TRIES):
        try:
            return await attempt()
        except (DBAPIError, StaleDataError) as error:
            session = get_session()
            has_committed = session is not None and session.info.get(_HAS_COMMITTED)
            if has_committed or not is_repeatable(error):
                raise
            # Those who were in each other's way shall not start at once again.
            pause = _LONGEST_PAUSE * number * SystemRandom().random()
            if get_time_left() <= pause:
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
        await session.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise OutcomeUnknown from error
        raise


@contextmanager
def _uncounted(session: AsyncSession) -> Iterator[None]:
    """Let a commit that keeps nothing not count as one."""
    before = session.info.get(_HAS_COMMITTED)
    yield
    session.info[_HAS_COMMITTED] = before


async def release_connection(session: AsyncSession) -> None:
    """End a transaction that has only read, so that slow work such as hashing holds no connection.

    What was loaded stays, and the next statement begins another transaction.
    """
    with _uncounted(session):
        await session.commit()


def attach(session: AsyncSession, row: _R) -> _R:
    """Return a row that was loaded elsewhere as the session's own, and begin no transaction by it.

    Neither `merge` without loading nor the end of an empty transaction sends anything.
    """
    was_in_transaction = session.in_transaction()
    attached = session.sync_session.merge(row, load=False)
    if not was_in_transaction:
        with _uncounted(session):
            session.sync_session.commit()
    return attached
