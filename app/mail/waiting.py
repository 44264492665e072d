"""Mail that is not sent yet, and mail that was given up: for whoever looks after the service."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox
from app.web.errors import NotFound

MOST_SHOWN: Final = 100
_IS_WAITING: Final = col(Outbox.sent_at).is_(None)
# What is given up is due in a century (see `queue.py`), and no pause is as long as this.
_IS_GIVEN_UP: Final = col(Outbox.run_at) > func.now() + timedelta(days=365)


class MailNotFound(NotFound):
    """No mail that waits has this id."""


class Backlog(NamedTuple):
    """How much mail is not sent."""

    waiting: int
    given_up: int
    oldest_at: datetime | None
    """Since when the oldest of what is due has been so."""


async def describe_backlog(session: AsyncSession) -> Backlog:
    given_up = func.count().filter(_IS_GIVEN_UP)
    oldest = func.min(col(Outbox.run_at)).filter(col(Outbox.run_at) <= func.now())
    found = select(func.count() - given_up, given_up, oldest).where(_IS_WAITING)
    return Backlog(*(await session.exec(found)).one())


async def list_waiting(session: AsyncSession, *, given_up: bool) -> Sequence[Outbox]:
    """Return the mail that is tried next, or what was given up last; a hundred at most."""
    waiting = select(Outbox).where(_IS_WAITING, _IS_GIVEN_UP if given_up else ~_IS_GIVEN_UP)
    run_at = col(Outbox.run_at)
    order = run_at.desc() if given_up else run_at
    return list(await session.exec(waiting.order_by(order).limit(MOST_SHOWN)))


async def retry_mail(session: AsyncSession, mail_id: uuid.UUID) -> None:
    """Have a mail tried again at once, or raise `MailNotFound`."""
    mail = update(Outbox).where(col(Outbox.id) == mail_id, _IS_WAITING)
    if (await session.exec(mail.values(run_at=func.now()))).rowcount == 0:
        raise MailNotFound
