"""Administrators' page of what has happened to all accounts."""

import uuid
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit import service
from app.audit.schemas import AuditQuery
from app.auth.dependencies import requires
from app.site.dependencies import UserVisit, visit_as_user
from app.site.forms import OptionalLine
from app.site.happenings import describe_event
from app.site.rights import show_rights
from app.site.routing import new_router
from app.users import service as users
from app.web.pagination import CursorQuery
from app.web.schemas import find_canonical_email
from app.web.session import SessionDep

router = new_router(visit_as_user, show_rights, requires("audit:read"))
PATH = "/admin/events"


class EventsQuery(CursorQuery):
    """As a form sends it, empty fields too."""

    kind: OptionalLine = None
    user: OptionalLine = None
    actor: OptionalLine = None


@router.get(PATH)
async def list_events(
    session: SessionDep, visit: UserVisit, query: Annotated[EventsQuery, Query()]
) -> Response:
    """Show what was done to all accounts, newest first, and what was refused."""
    page = await service.list_events(session, await _read(session, query))
    wanted = {"kind": query.kind, "user": query.user, "actor": query.actor}
    asked = urlencode({name: value for name, value in wanted.items() if value})
    named = {each for event in page.data for each in (event.user_id, event.actor_id) if each}
    return visit.show(
        "admin/events.html",
        page=page,
        query=query,
        first=f"{PATH}?{asked}" if asked else PATH,
        emails=await users.find_emails(session, named),
        describe=describe_event,
    )


async def _read(session: AsyncSession, query: EventsQuery) -> AuditQuery:
    """Find the users that are named by their addresses; all else has been judged."""
    return AuditQuery.model_construct(
        cursor=query.cursor,
        limit=query.limit,
        kind=query.kind,
        user_id=await _find_id(session, query.user),
        actor_id=await _find_id(session, query.actor),
    )


async def _find_id(session: AsyncSession, text: str | None) -> uuid.UUID | None:
    """Return the id itself, or whose address it is; of nobody's, an id that nobody has."""
    if text is None:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        user = await users.find_user_by_email(session, find_canonical_email(text) or "")
        return user.id if user else uuid.UUID(int=0)


async def list_latest(session: AsyncSession, user_id: uuid.UUID) -> dict[str, Any]:
    """Return what was done last to one account, for the page of it."""
    page = await service.list_events(session, AuditQuery(user_id=user_id, limit=5))
    return {"events": page.data, "describe": describe_event}
