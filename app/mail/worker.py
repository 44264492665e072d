"""The worker: sends what is due in the outbox, at least once, and retries what could not be sent.

A mail is claimed for a while, so that several workers share the work and one that was killed
loses nothing. Meanwhile neither a transaction nor a connection to the database is held.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any, NamedTuple

import structlog
from sqlalchemy import func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.mail.letters import Letter, write_letter
from app.mail.messages import Composer
from app.mail.models import Outbox
from app.mail.smtp import SEND_TIMEOUT, MailError, MailRefused, Outlet, ServerUnusable

POLLED_EVERY = 1  # second
TIDIED_EVERY = 3600  # seconds
_PAUSE_AFTER_FAILURE = 10  # seconds
LEASE = timedelta(seconds=2 * SEND_TIMEOUT)
"""How long a mail is one worker's own; whoever is killed meanwhile delays it this much."""
_FIRST_RETRY = timedelta(seconds=5)
_LAST_RETRY = timedelta(minutes=15)
GIVES_UP_AFTER = timedelta(days=3)
# The row stays, for an operator to see; due never, unless `run_at` is set again.
NEVER = timedelta(days=36500)

log = structlog.get_logger()


class Mail(NamedTuple):
    """A claimed row of the outbox."""

    id: uuid.UUID
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: datetime
    claimed_at: datetime
    is_old: bool


class MailWorker:
    """Delivers until it is told to stop; a mail in flight is finished first.

    `tidy` is called each hour.
    """

    def __init__(
        self,
        database: Database,
        outlet: Outlet,
        composer: Composer,
        tidy: Callable[[Database], Awaitable[object]],
    ) -> None:
        self._database = database
        self._outlet = outlet
        self._composer = composer
        self._tidy = tidy
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.deliver_due, POLLED_EVERY))
            tasks.create_task(self._repeat(lambda: self._tidy(self._database), TIDIED_EVERY))

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopping.set()

    async def _repeat(self, work: Callable[[], Awaitable[object]], every: float) -> None:
        while not self._stopping.is_set():
            pause = every
            try:
                await work()
            except Exception:  # whatever it is, such as an absent database: later
                log.warning("worker_failed", exc_info=True)
                pause = _PAUSE_AFTER_FAILURE
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def deliver_due(self) -> int:
        """Send what is due, one after the other, and return how many were done with.

        Ends early when the server takes nothing now, or when the worker is to stop.
        """
        done = 0
        try:
            while not self._stopping.is_set():
                mail = await self._database.transact(_claim)
                if mail is None or not await self._deliver(mail):
                    break
                done += 1
        finally:
            await self._outlet.close()
        return done

    async def _deliver(self, mail: Mail) -> bool:
        """Send a mail, or write down why it was not; tell whether the next one may be tried."""
        letter: Letter | None = None
        try:
            letter = await self._database.transact(lambda session: _write(session, mail))
            if letter is not None:
                await self._outlet.send(self._compose(letter, mail))
        except MailError as error:
            user_id = letter and letter.user_id
            for_good = isinstance(error, MailRefused)
            await self._give_back(mail, str(error), user_id=user_id, for_good=for_good)
            return not isinstance(error, ServerUnusable)
        except Exception as error:  # one that cannot be written stops no other
            log.warning("mail_not_written", outbox_id=str(mail.id), exc_info=True)
            user_id = mail.payload.get("user_id")
            await self._give_back(mail, type(error).__name__, user_id=user_id, for_good=False)
            return True
        await self._database.transact(lambda session: _mark_sent(session, mail))
        if letter is not None:
            log.info("mail_sent", **_name(mail, letter.user_id))
        return True

    def _compose(self, letter: Letter, mail: Mail) -> Any:
        return self._composer.compose(
            letter, id_=mail.id, happened_at=mail.created_at, sent_at=mail.claimed_at
        )

    async def _give_back(self, mail: Mail, reason: str, *, user_id: object, for_good: bool) -> None:
        gives_up = for_good or mail.is_old
        wait = NEVER if gives_up else _choose_pause(mail.attempts)
        await self._database.transact(lambda session: _postpone(session, mail, wait, reason))
        write = log.error if gives_up else log.warning
        write("mail_failed", **_name(mail, user_id), error=reason, gives_up=gives_up)


@asynccontextmanager
async def running(worker: MailWorker) -> AsyncIterator[None]:
    """Let the worker run until the block ends, and the mail in flight is done with."""
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


async def _claim(session: AsyncSession) -> Mail | None:
    """Make the mail that has been due for longest this worker's own, for a while."""
    now = func.now()
    due = (
        select(Outbox.id)
        .where(
            col(Outbox.sent_at).is_(None),
            col(Outbox.run_at) <= now,
            or_(col(Outbox.locked_until).is_(None), col(Outbox.locked_until) <= now),
        )
        .order_by(col(Outbox.run_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(Outbox)
        .where(col(Outbox.id) == due.scalar_subquery())
        .values(locked_until=now + LEASE, attempts=Outbox.attempts + 1)
        .returning(
            *(col(each) for each in (Outbox.id, Outbox.kind, Outbox.payload, Outbox.attempts)),
            col(Outbox.created_at),
            now,
            col(Outbox.created_at) < now - GIVES_UP_AFTER,
        )
    )
    row = (await session.exec(claim)).one_or_none()
    return None if row is None else Mail(*row)


async def _write(session: AsyncSession, mail: Mail) -> Letter | None:
    """Decide what to send. The row is locked: who withdraws the mail waits, and finds its token."""
    mine = select(Outbox.id).where(Outbox.id == mail.id, col(Outbox.sent_at).is_(None))
    if (await session.exec(mine.with_for_update())).first() is None:
        return None
    return await write_letter(session, mail.kind, mail.payload)


async def _mark_sent(session: AsyncSession, mail: Mail) -> None:
    row = update(Outbox).where(col(Outbox.id) == mail.id)
    await session.exec(row.values(sent_at=func.now(), locked_until=None, last_error=None))


async def _postpone(session: AsyncSession, mail: Mail, wait: timedelta, reason: str) -> None:
    # Not if it took so long that another worker has claimed it since.
    mine = update(Outbox).where(col(Outbox.id) == mail.id, col(Outbox.attempts) == mail.attempts)
    values = {"run_at": func.now() + wait, "locked_until": None, "last_error": reason[:255]}
    await session.exec(mine.values(values))


def _choose_pause(attempts: int) -> timedelta:
    """Double the pause each time, and blur it: after an outage, not all shall come at once."""
    longest = min(_FIRST_RETRY * (1 << min(attempts - 1, 10)), _LAST_RETRY)
    return longest * SystemRandom().uniform(0.5, 1)


def _name(mail: Mail, user_id: object) -> dict[str, str | None]:
    """Name a mail for the log, without its address and its text."""
    user = None if user_id is None else str(user_id)
    return {"kind": mail.kind, "outbox_id": str(mail.id), "user_id": user}
