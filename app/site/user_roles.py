"""The roles of users, on administrators' pages: to see, to give and take, and to search by."""

import uuid
from typing import Annotated, Final

from fastapi import Depends, Form, Query, Request, Response
from sqlmodel.sql.expression import SelectOfScalar

from app.auth.dependencies import get_recent_login, requires
from app.roles import service
from app.roles.dependencies import GranterDep
from app.site.confirming import Question
from app.site.dependencies import UserVisit, add_to_page, visit_as_user
from app.site.forms import GivenRoleForm, UsersQuery
from app.site.rights import find_rights
from app.site.routing import go, new_router
from app.users import service as users
from app.users.permissions import PermissionRequired
from app.web.languages import N_
from app.web.session import SessionDep

router = new_router(visit_as_user, requires("roles:write"), get_recent_login)
PATH: Final = "/admin/users/{user_id}/roles"
_READ: Final = "roles:read"


async def find_holders(
    request: Request,
    session: SessionDep,
    visit: UserVisit,
    query: Annotated[UsersQuery, Query()],
) -> SelectOfScalar[uuid.UUID] | None:
    """Offer the roles to whom may see them, and select the users of the one that is asked for."""
    may_read = await find_rights(session, visit.login.user, [_READ])
    if not may_read and query.role:
        raise PermissionRequired(_READ)
    roles = [*await service.list_by_name(session)] if may_read else []
    if query.role and query.role not in [each.id for each in roles]:
        roles.append(await service.get_role(session, query.role))
    add_to_page(request, roles=roles)
    return service.select_holders(query.role) if query.role else None


AmongDep = Annotated[SelectOfScalar[uuid.UUID] | None, Depends(find_holders)]


async def show_user_roles(
    request: Request, session: SessionDep, caller: GranterDep, user_id: uuid.UUID
) -> None:
    """Have the page of a user show the roles, and which of them the visitor can give and take."""
    if not await find_rights(session, caller.user, [_READ]):
        return
    given = await service.list_user_roles(session, user_id)
    own = {*(await service.list_own_permissions(session, caller)).permissions}
    within = [
        each
        for each in await service.list_by_name(session)
        if caller.user.is_superuser or own >= {*each.permissions}
    ]
    add_to_page(request, roles=given, within=within)


@router.post(PATH)
async def assign_role(
    session: SessionDep,
    caller: GranterDep,
    user_id: uuid.UUID,
    form: Annotated[GivenRoleForm, Form()],
) -> Response:
    """Give the user a role."""
    await service.assign_role(session, caller, user_id, form.role_id)
    return go(f"/admin/users/{user_id}", "role_given")


@router.get(f"{PATH}/{{role_id}}/take")
async def ask_to_withdraw_role(
    session: SessionDep, visit: UserVisit, user_id: uuid.UUID, role_id: uuid.UUID
) -> Response:
    """Ask whether the role is to be taken from the user."""
    user, role = await users.get_user(session, user_id), await service.get_role(session, role_id)
    question = Question(
        title=N_("Take this role away?"),
        text=N_("The user loses what it permits, at once."),
        button=N_("Take the role"),
        back=f"/admin/users/{user_id}",
        about=f"{role.name}: {user.email}",
    )
    return visit.show("confirm.html", question=question)


@router.post(f"{PATH}/{{role_id}}/take")
async def withdraw_role(
    session: SessionDep, caller: GranterDep, user_id: uuid.UUID, role_id: uuid.UUID
) -> Response:
    """Take the role from the user."""
    await service.withdraw_role(session, caller, user_id, role_id)
    return go(f"/admin/users/{user_id}", "role_taken")
