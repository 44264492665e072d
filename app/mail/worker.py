"""The worker: sends what is due in the outbox, at least once, and retries what could not be sent.

A mail is claimed for a while, so that several workers share the work and one that was killed
loses nothing. Meanwhile neither a transaction nor a connection to the database is held.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog

from app.database.transactions import Database
from app.mail import queue
from app.mail.letters import Letter
from app.mail.messages import Composer
from app.mail.outlet import MailError, MailRefused, Outlet, ServerUnusable
from app.mail.queue import Mail

POLLED_EVERY = 1  # second
TIDIED_EVERY = 3600  # seconds
_PAUSE_AFTER_FAILURE = 10  # seconds
_TURNS = 100  # other recipients have theirs before one has the next, however much it is sent

log = structlog.get_logger()


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
        """Deliver, new mail beside what has failed before: so it waits behind none of that."""
        async with asyncio.TaskGroup() as tasks:
            for was_tried in (False, True):
                deliver = partial(self._deliver_all, was_tried=was_tried)
                tasks.create_task(self._repeat(deliver, POLLED_EVERY))
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
        new = await self._deliver_all(was_tried=False)
        return new + await self._deliver_all(was_tried=True)

    async def _deliver_all(self, *, was_tried: bool) -> int:
        done = 0
        served: deque[str] = deque(maxlen=_TURNS)
        try:
            while not self._stopping.is_set():
                mail = await self._claim(served, was_tried=was_tried)
                if mail is None or not await self._deliver(mail):
                    break
                done += 1
        finally:
            await self._outlet.close()
        return done

    async def _claim(self, served: deque[str], *, was_tried: bool) -> Mail | None:
        """Claim the next mail, to a recipient who has not been served for a while if there is one.

        Else whoever is sent a thousand mails would keep all others waiting.
        """
        claim = partial(queue.claim, was_tried=was_tried, served=served)
        mail = await self._database.transact(claim)
        if mail is None and served:
            served.clear()
            mail = await self._database.transact(claim)
        if mail is not None:
            served.append(mail.recipient)
        return mail

    async def _deliver(self, mail: Mail) -> bool:
        """Send a mail, or write down why it was not; tell whether the next one may be tried."""
        letter: Letter | None = None
        try:
            letter = await self._database.transact(partial(queue.write, mail=mail))
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
        await self._database.transact(partial(queue.mark_sent, mail=mail))
        if letter is not None:
            log.info("mail_sent", **_name(mail, letter.user_id))
        return True

    def _compose(self, letter: Letter, mail: Mail) -> Any:
        return self._composer.compose(
            letter, id_=mail.id, happened_at=mail.created_at, sent_at=mail.claimed_at
        )

    async def _give_back(self, mail: Mail, reason: str, *, user_id: object, for_good: bool) -> None:
        gives_up = for_good or mail.is_old
        give_back = partial(queue.give_back, mail=mail, reason=reason, gives_up=gives_up)
        await self._database.transact(give_back)
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


def _name(mail: Mail, user_id: object) -> dict[str, str | None]:
    """Name a mail for the log, without its address and its text."""
    user = None if user_id is None else str(user_id)
    return {"kind": mail.kind, "outbox_id": str(mail.id), "user_id": user}
