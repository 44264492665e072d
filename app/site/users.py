"""Administrators' pages: the users, and one of them."""

import uuid
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Form, Query, Response

from app.auth import recovery
from app.auth.dependencies import requires
from app.auth.sessions import list_user_sessions
from app.items.service import count_items
from app.second_factors.dependencies import SecondFactorsDep
from app.site.admin_events import list_latest
from app.site.dependencies import LATELY, UserVisit, visit_as_user
from app.site.forms import InvitationForm, UsersQuery
from app.site.rights import show_rights
from app.site.routing import go, new_router
from app.site.user_roles import AmongDep, show_user_roles
from app.users import service
from app.web.session import SessionDep

router = new_router(visit_as_user, show_rights, requires("users:read"))
PATH = "/admin/users"
WRITERS = [Depends(requires("users:write")), *LATELY]


@router.get(PATH)
async def list_users(
    session: SessionDep,
    visit: UserVisit,
    query: Annotated[UsersQuery, Query()],
    among: AmongDep,
) -> Response:
    """Show users, newest first."""
    page = await service.list_users(session, query, among)
    asked = urlencode(query.model_dump(exclude={"cursor", "limit", "done"}, exclude_none=True))
    first = f"{PATH}?{asked}" if asked else PATH
    return visit.show("admin/users.html", page=page, query=query, first=first)


@router.get(f"{PATH}/new", dependencies=WRITERS)
async def ask_for_invitation(visit: UserVisit) -> Response:
    """Show the form that adds a user."""
    return visit.show("forms/admin/users/new.html")


@router.post(f"{PATH}/new", dependencies=WRITERS)
async def invite_user(
    session: SessionDep, visit: UserVisit, form: Annotated[InvitationForm, Form()]
) -> Response:
    """Add a user, who is mailed a link to choose a password."""
    user = await recovery.invite_user(session, visit.login.user, form)
    return go(f"{PATH}/{user.id}", "invited")


@router.get(f"{PATH}/{{user_id}}", dependencies=[Depends(show_user_roles)])
async def show_user(
    session: SessionDep, gate: SecondFactorsDep, visit: UserVisit, user_id: uuid.UUID
) -> Response:
    """Show a user: where it is signed in, what has happened, how much it has."""
    user = await service.get_user(session, user_id)
    return visit.show(
        "admin/user.html",
        user=user,
        is_self=user.id == visit.login.user.id,
        methods=await gate.list_methods(session, user_id),
        devices=await list_user_sessions(session, user_id),
        items=await count_items(session, user_id),
        **await list_latest(session, user_id),
    )
