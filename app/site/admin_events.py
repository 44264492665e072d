"""Administrators' page of what has happened to all accounts."""

import uuid
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Response
from pydantic import BeforeValidator, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit import service
from app.audit.schemas import AuditQuery
from app.auth.dependencies import get_superuser
from app.site.dependencies import UserVisit
from app.site.forms import read_blank
from app.site.happenings import describe_event
from app.site.routing import new_router
from app.web.schemas import Line
from app.web.session import SessionDep

router = new_router(get_superuser)
PATH = "/admin/events"


class EventsQuery(AuditQuery):
    """A form sends its empty fields too."""

    kind: Annotated[Line | None, BeforeValidator(read_blank)] = Field(None, max_length=100)
    user_id: Annotated[uuid.UUID | None, BeforeValidator(read_blank)] = None
    actor_id: Annotated[uuid.UUID | None, BeforeValidator(read_blank)] = None


@router.get(PATH)
async def list_events(
    session: SessionDep, visit: UserVisit, query: Annotated[EventsQuery, Query()]
) -> Response:
    """Show what was done to all accounts, newest first, and what was refused."""
    page = await service.list_events(session, query)
    wanted = {"kind": query.kind, "user_id": query.user_id, "actor_id": query.actor_id}
    asked = urlencode({name: value for name, value in wanted.items() if value})
    first = f"{PATH}?{asked}" if asked else PATH
    return visit.show(
        "admin/events.html", page=page, query=query, first=first, describe=describe_event
    )


async def list_latest(session: AsyncSession, user_id: uuid.UUID) -> dict[str, Any]:
    """Return what was done last to one account, for the page of it."""
    page = await service.list_events(session, AuditQuery(user_id=user_id, limit=5))
    return {"events": page.data, "describe": describe_event}
