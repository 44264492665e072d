"""Adding what has happened, finding it again, and deleting it when its time is over."""

import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, exists, func, insert, literal, not_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from app.audit.models import AuditEvent
from app.audit.schemas import AuditQuery, EventQuery, OwnEventPublic
from app.database.transactions import Database
from app.users.models import User
from app.web.pagination import Page, get_page

DONE: Final = "done"
REFUSED_AGAIN_AFTER: Final = timedelta(minutes=1)
BATCH: Final = 10_000  # rows of one statement


class Happening(NamedTuple):
    """What is to be noted; the database adds when."""

    kind: str
    outcome: str
    actor_id: uuid.UUID | None
    user_id: uuid.UUID | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    details: Mapping[str, Any]


async def note(session: AsyncSession, happening: Happening) -> None:
    """Add an event to the session's transaction: it is there if what it tells is."""
    await session.exec(insert(AuditEvent).values(id=uuid.uuid4(), **happening._asdict()))


async def note_refusal(session: AsyncSession, happening: Happening) -> None:
    """Add it, unless it is the same as one of the last minute, by somebody who is signed in.

    Limits hold for strangers, but who is signed in may be refused as often as they like.
    """
    if happening.actor_id is None:
        await note(session, happening)
        return
    table = AuditEvent.__table__  # type: ignore[attr-defined]  # of SQLModel's tables
    values = {"id": uuid.uuid4(), **happening._asdict()}
    row = [literal(value, table.c[name].type) for name, value in values.items()]
    lately = exists().where(
        col(AuditEvent.actor_id) == happening.actor_id,
        col(AuditEvent.created_at) > func.now() - REFUSED_AGAIN_AFTER,
        col(AuditEvent.kind) == happening.kind,
        col(AuditEvent.outcome) == happening.outcome,
    )
    await session.exec(insert(AuditEvent).from_select([*values], select(*row).where(not_(lately))))


async def note_command(session: AsyncSession, command: str, email: str) -> None:
    """Add that the service's owner has run a command of `app` about the account of this address."""
    user_id = (await session.exec(select(User.id).where(User.email == email))).one_or_none()
    nowhere = {"actor_id": None, "address": None, "user_agent": None, "request_id": None}
    await note(session, Happening(f"app {command}", DONE, user_id=user_id, details={}, **nowhere))


async def list_events(session: AsyncSession, query: AuditQuery) -> Page[AuditEvent]:
    """Return a page of all events, newest first."""
    events = _select(query)
    if query.user_id is not None:
        events = events.where(AuditEvent.user_id == query.user_id)
    if query.actor_id is not None:
        events = events.where(AuditEvent.actor_id == query.actor_id)
    return await get_page(session, events, query)


async def list_own_events(
    session: AsyncSession, user: User, query: EventQuery
) -> Page[OwnEventPublic]:
    """Return a page of what was done to the user's account, newest first."""
    mine = _select(query).where(AuditEvent.user_id == user.id)
    page = await get_page(session, mine, query)
    return Page([_show_owner(event, user) for event in page.data], page.next_cursor)


async def read_own_events(session: AsyncSession, user: User) -> AsyncIterator[dict[str, Any]]:
    """Yield all that was done to the user's account, the oldest first, as the owner sees it."""
    mine = select(AuditEvent).where(AuditEvent.user_id == user.id)
    ordered = mine.order_by(col(AuditEvent.created_at), col(AuditEvent.id))
    async for event in await session.stream_scalars(ordered.execution_options(yield_per=200)):
        yield _show_owner(event, user).model_dump()


def _select(query: EventQuery) -> SelectOfScalar[AuditEvent]:
    events = select(AuditEvent)
    if query.kind is not None:
        events = events.where(AuditEvent.kind == query.kind)
    if query.since is not None:
        events = events.where(col(AuditEvent.created_at) >= query.since)
    if query.until is not None:
        events = events.where(col(AuditEvent.created_at) < query.until)
    return events


def _show_owner(event: AuditEvent, user: User) -> OwnEventPublic:
    shown = event.model_dump()
    if event.actor_id in {None, user.id}:
        return OwnEventPublic(**shown, by="you" if event.actor_id else "unknown")
    return OwnEventPublic(**shown | {"address": None, "user_agent": None}, by="another")


async def purge(database: Database, days: int) -> int:
    """Delete events that are older than so many days; for the role that owns the tables."""
    deleted, count = 0, BATCH
    while count == BATCH:
        count = await database.transact(partial(_purge_some, age=timedelta(days=days)))
        deleted += count
    return deleted


async def _purge_some(session: AsyncSession, age: timedelta) -> int:
    old = select(AuditEvent.id).where(col(AuditEvent.created_at) < func.now() - age).limit(BATCH)
    return (await session.exec(delete(AuditEvent).where(col(AuditEvent.id).in_(old)))).rowcount
