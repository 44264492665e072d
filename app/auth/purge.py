"""Deleting what has served its time: each hour, in steps so small that nobody waits for them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, inspect
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import KnownDevice, LoginSession, RateLimit
from app.database.transactions import Database
from app.mail.models import EmailToken, Outbox
from app.mail.queue import NEVER
from app.users.models import User

MAIL_KEPT = timedelta(days=7)
UNSENT_MAIL_KEPT = timedelta(days=30)
DEVICES_KEPT = timedelta(days=365)
BATCH = 1000  # rows of one statement
_LOCK = 0x7573725F70757267  # any number of 63 bits that is used for nothing else


class Expired(NamedTuple):
    """Rows to delete; `condition` is one that an index serves."""

    model: type[SQLModel]
    condition: ColumnElement[bool]


EXPIRED: Final = (
    # Those that were not used for a week as well, in time.
    Expired(LoginSession, col(LoginSession.expires_at) < func.now()),
    Expired(EmailToken, col(EmailToken.expires_at) < func.now()),
    Expired(Outbox, col(Outbox.sent_at) < func.now() - MAIL_KEPT),
    Expired(
        Outbox,
        and_(
            col(Outbox.sent_at).is_(None),
            col(Outbox.run_at) > func.now() + NEVER / 2,  # the worker has given it up
            col(Outbox.created_at) < func.now() - UNSENT_MAIL_KEPT,
        ),
    ),
    Expired(RateLimit, col(RateLimit.arrival_at) < func.now()),
    Expired(User, col(User.deletion_due_at) < func.now()),
    Expired(KnownDevice, col(KnownDevice.last_used_at) < func.now() - DEVICES_KEPT),
)


async def purge_expired(database: Database, *, of_features: Sequence[Expired] = ()) -> int:
    """Delete what has expired and return how many rows; none if another process is at it.

    Of a backlog, it rests as long as each batch took: a half of the time is everybody else's.
    """
    deleted = 0
    for expired in (*EXPIRED, *of_features):
        count: int | None = BATCH
        while count == BATCH:
            started = monotonic()
            count = await database.transact(partial(_delete_some, expired=expired))
            if count is None:
                return deleted
            deleted += count
            if count == BATCH:
                await asyncio.sleep(monotonic() - started)
    return deleted


async def _delete_some(session: AsyncSession, expired: Expired) -> int | None:
    """Delete a batch and return its size, or None if another process is at it."""
    # For the transaction, since a pool between here and the server keeps no session's locks.
    if not (await session.exec(select(func.pg_try_advisory_xact_lock(_LOCK)))).one():
        return None
    key = inspect(expired.model).primary_key
    # What another transaction holds just now is left for the next hour.
    locked = select(*key).where(expired.condition).limit(BATCH).with_for_update(skip_locked=True)
    some = locked.cte("some")
    chosen = (column == some.c[column.name] for column in key)
    return (await session.exec(delete(expired.model).where(*chosen))).rowcount
