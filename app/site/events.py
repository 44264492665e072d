"""The page of what has happened to one's own account."""

from typing import Annotated

from fastapi import Query, Response

from app.audit import service
from app.audit.schemas import EventQuery
from app.site.dependencies import UserVisit
from app.site.happenings import describe_event
from app.site.routing import new_router
from app.web.session import SessionDep

router = new_router()


@router.get("/account/events")
async def list_own_events(
    session: SessionDep, visit: UserVisit, query: Annotated[EventQuery, Query()]
) -> Response:
    """Show what was done to the account, newest first, and what was refused."""
    page = await service.list_own_events(session, visit.login.user, query)
    is_first = query.cursor is None
    return visit.show("account/events.html", page=page, is_first=is_first, describe=describe_event)
