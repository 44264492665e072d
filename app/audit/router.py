"""HTTP routes for what has happened: to one's own account, and to all."""

from typing import Annotated

from fastapi import Depends, Query

from app.audit import service
from app.audit.models import AuditEvent
from app.audit.schemas import (
    AuditEventPage,
    AuditQuery,
    EventQuery,
    OwnEventPage,
    OwnEventPublic,
)
from app.auth.dependencies import CurrentUser, requires
from app.users.permissions import PermissionRequired
from app.web.pagination import Page
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep
from app.web.strict import given_once

router = Router(tags=["audit"], dependencies=[Depends(given_once)])


@router.get("/users/me/events", response_model=OwnEventPage)
async def list_own_events(
    session: SessionDep, user: CurrentUser, query: Annotated[EventQuery, Query()]
) -> Page[OwnEventPublic]:
    """List what was done to the caller's account, newest first, and what was refused."""
    return await service.list_own_events(session, user, query)


@router.get(
    "/audit",
    response_model=AuditEventPage,
    responses=problems(PermissionRequired),
    dependencies=[Depends(requires("audit:read"))],
)
async def list_events(
    session: SessionDep, query: Annotated[AuditQuery, Query()]
) -> Page[AuditEvent]:
    """List what was done to all accounts, newest first, and what was refused."""
    return await service.list_events(session, query)
