"""Limits on guessing and on nuisance, kept in PostgreSQL, hence one for all processes.

Each is the generic cell rate algorithm (ITU-T Recommendation I.371, annex A): a bucket is one
instant, its theoretical arrival time, which each use moves on. The database's clock counts.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil

from sqlalchemy import (
    ARRAY,
    DateTime,
    Interval,
    LargeBinary,
    column,
    func,
    literal,
    literal_column,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql.dml import ReturningInsert, Update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from app.auth.limits import Use
from app.auth.models import RateLimit
from app.database.deadline import time_limit
from app.database.errors import find_reason
from app.database.transactions import Database
from app.web.errors import ServiceError, Unavailable

_CONNECTIONS = 2
_PATIENCE = 3  # seconds
_DEBTS = 10_000  # that a process remembers


class TooManyRequests(ServiceError):
    """There were too many attempts; try again later."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = max(1, ceil(retry_after.total_seconds()))


class RateLimits:
    """The limits in the database, used up on a connection of their own.

    So what a refused request has used stays used when its transaction is rolled back. The caller's
    own session must hold no connection then, or a full pool would wait for itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self.used: deque[Use] = deque(maxlen=0)  # noted where they are lent to a request
        self._owed: deque[Use] = deque(maxlen=_DEBTS)

    @asynccontextmanager
    async def for_request(self) -> AsyncIterator["RateLimits"]:
        """Lend them to one request; what the service could not decide costs nobody anything."""
        mine = copy(self)
        mine.used = deque()
        try:
            yield mine
        except Exception as error:
            if isinstance(error, Unavailable) or find_reason(error):
                self._owed.extend(mine.used)
                # It may be down for this too; then whoever comes next pays the debts.
                with suppress(Unavailable, DBAPIError, PoolTimeoutError), time_limit(1):
                    await self.consume()
            raise

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[AsyncSession]:
        """Wait for a session in AUTOCOMMIT that strangers may use, or raise `Unavailable`.

        They get a few at a time, so that in a flood the others are there for whoever is signed in.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("strangers") from None
        try:
            async with self._database.autocommitting() as session:
                yield session
        finally:
            self._turns.release()

    async def consume(self, *uses: Use) -> None:
        """Use up all of them, or raise `TooManyRequests`.

        One that is used up keeps those behind it untouched: what one network tries in vain takes
        nothing from the account that it tries.
        """
        async with self.turn() as session:
            await self._pay_debts(session)
            for use in uses:
                if (await session.exec(_take(use))).first() is None:
                    wait = (await session.exec(_find_wait(use))).first()
                    break
                self.used.append(use)
            else:
                return
        raise TooManyRequests(wait or use.limit.interval)

    async def _pay_debts(self, session: AsyncSession) -> None:
        while self._owed:
            use = self._owed.popleft()
            try:
                await session.exec(_return([use]).where(_NOT_DURABLE))
            except BaseException:
                self._owed.append(use)
                raise


async def give_back(session: AsyncSession, uses: Sequence[Use]) -> None:
    """Undo `consume` in the session's transaction, since what it limits went well.

    The rows are locked in the order in which `consume` does it, so that none waits for a ring.
    """
    await session.exec(_return(uses))


# As SQLAlchemy's own type: SQLModel's takes whatever is added or compared for an instant too.
_arrival_at = type_coerce(RateLimit.arrival_at, DateTime(timezone=True))
# For a statement's transaction alone: a crash may forget the last attempts, and none of them waits
# for the disk, which takes longer than all else.
_NOT_DURABLE = literal_column("set_config('synchronous_commit', 'off', true)") == "off"


def _take(use: Use) -> ReturningInsert[datetime]:
    """Move the instant on, unless it is too far ahead; PostgreSQL decides once it has the row."""
    now = func.clock_timestamp()
    interval = use.limit.interval
    first = select(literal(use.key_hash), now + interval).where(_NOT_DURABLE)
    return (
        insert(RateLimit)
        .from_select(["key_hash", "arrival_at"], first)
        .on_conflict_do_update(
            index_elements=[col(RateLimit.key_hash)],
            set_={"arrival_at": func.greatest(_arrival_at, now) + interval},
            where=_arrival_at - interval * (use.limit.burst - 1) <= now,
        )
        .returning(col(RateLimit.arrival_at))
    )


def _return(uses: Sequence[Use]) -> Update:
    """Undo uses of different keys, whose rows are locked in this order."""
    hashes = literal([each.key_hash for each in uses], ARRAY(LargeBinary))
    intervals = literal([each.limit.interval for each in uses], ARRAY(Interval))
    columns = (column("key_hash", LargeBinary), column("interval", Interval))
    unnest = func.unnest(hashes, intervals)
    given = unnest.table_valued(*columns, with_ordinality="place").render_derived()
    rows = select(col(RateLimit.key_hash), given.c.interval).join(
        given, col(RateLimit.key_hash) == given.c.key_hash
    )
    locked = rows.order_by(given.c.place).with_for_update(of=RateLimit).cte("locked")
    mine = update(RateLimit).where(col(RateLimit.key_hash) == locked.c.key_hash)
    back = mine.values(arrival_at=_arrival_at - locked.c.interval)
    return back.execution_options(synchronize_session=False)


def _find_wait(use: Use) -> SelectOfScalar[timedelta]:
    tolerance = use.limit.interval * (use.limit.burst - 1)
    wait = _arrival_at - tolerance - func.clock_timestamp()
    return select(type_coerce(wait, Interval())).where(RateLimit.key_hash == use.key_hash)
