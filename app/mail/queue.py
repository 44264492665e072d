"""The outbox as a queue: which mail is claimed next, for how long, and what becomes of it."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any, Final, NamedTuple

from sqlalchemy import func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.letters import Letter, write_letter
from app.mail.models import Outbox
from app.mail.smtp import SEND_TIMEOUT

LEASE = timedelta(seconds=2 * SEND_TIMEOUT)
"""How long a mail is one worker's own; whoever is killed meanwhile delays it this much."""
_FIRST_RETRY = timedelta(seconds=5)
_LAST_RETRY = timedelta(minutes=15)
GIVES_UP_AFTER = timedelta(days=3)
# The row stays, for an operator to see; due never, unless `run_at` is set again.
NEVER = timedelta(days=36500)

_RECIPIENT: Final = func.coalesce(
    col(Outbox.payload)["email"].as_string(), col(Outbox.payload)["user_id"].as_string(), ""
)


class Mail(NamedTuple):
    """A claimed row of the outbox."""

    id: uuid.UUID
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: datetime
    claimed_at: datetime
    is_old: bool
    recipient: str


async def claim(session: AsyncSession, *, was_tried: bool, served: Collection[str]) -> Mail | None:
    """Make the mail that has been due for longest this worker's own, for a while.

    Of those that were tried before, or of the others; to none of the recipients just `served`.
    """
    now = func.now()
    due = (
        select(Outbox.id)
        .where(
            col(Outbox.sent_at).is_(None),
            col(Outbox.run_at) <= now,
            col(Outbox.attempts) > 0 if was_tried else col(Outbox.attempts) == 0,
            or_(col(Outbox.locked_until).is_(None), col(Outbox.locked_until) <= now),
            _RECIPIENT.not_in([*served]),
        )
        .order_by(col(Outbox.run_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claimed = (
        update(Outbox)
        .where(col(Outbox.id) == due.scalar_subquery())
        .values(locked_until=now + LEASE, attempts=Outbox.attempts + 1)
        .returning(
            *(col(each) for each in (Outbox.id, Outbox.kind, Outbox.payload, Outbox.attempts)),
            col(Outbox.created_at),
            now,
            col(Outbox.created_at) < now - GIVES_UP_AFTER,
            _RECIPIENT,
        )
    )
    row = (await session.exec(claimed)).one_or_none()
    return None if row is None else Mail(*row)


async def write(session: AsyncSession, mail: Mail) -> Letter | None:
    """Decide what to send. The row is locked: who withdraws the mail waits, and finds its token."""
    mine = select(Outbox.id).where(Outbox.id == mail.id, col(Outbox.sent_at).is_(None))
    if (await session.exec(mine.with_for_update())).first() is None:
        return None
    return await write_letter(session, mail.kind, mail.payload)


async def mark_sent(session: AsyncSession, mail: Mail) -> None:
    row = update(Outbox).where(col(Outbox.id) == mail.id)
    await session.exec(row.values(sent_at=func.now(), locked_until=None, last_error=None))


async def give_back(session: AsyncSession, mail: Mail, reason: str, *, gives_up: bool) -> None:
    """Note why the mail was not sent, and when it is tried again."""
    wait = NEVER if gives_up else _choose_pause(mail.attempts)
    # Not if it took so long that another worker has claimed it since.
    mine = update(Outbox).where(col(Outbox.id) == mail.id, col(Outbox.attempts) == mail.attempts)
    values = {"run_at": func.now() + wait, "locked_until": None, "last_error": reason[:255]}
    await session.exec(mine.values(values))


def _choose_pause(attempts: int) -> timedelta:
    """Double the pause each time, and blur it: after an outage, not all shall come at once."""
    longest = min(_FIRST_RETRY * (1 << min(attempts - 1, 10)), _LAST_RETRY)
    return longest * SystemRandom().uniform(0.5, 1)
