"""Administrators' pages of roles: which there are, and what each of them permits."""

import uuid
from typing import Annotated, Final

from fastapi import Depends, Form, Query, Request, Response

from app.auth.dependencies import requires
from app.roles import service
from app.roles.dependencies import GranterDep
from app.roles.schemas import RoleUpdate
from app.site.confirming import Question
from app.site.dependencies import LATELY, UserVisit, add_to_page, visit_as_user
from app.site.forms import BOX, RoleForm, RolesQuery
from app.site.rights import show_rights
from app.site.routing import go, new_router
from app.web.languages import N_
from app.web.session import SessionDep

router = new_router(visit_as_user, show_rights, requires("roles:read"))
PATH: Final = "/admin/roles"
ROLE: Final = f"{PATH}/{{role_id}}"


async def show_own(request: Request, session: SessionDep, caller: GranterDep) -> None:
    """Have the page offer the permissions that the visitor has, and could pass on."""
    own = await service.list_own_permissions(session, caller)
    add_to_page(request, own=own.permissions)


SHOWING_OWN: Final = [Depends(show_own)]
WRITERS: Final = [Depends(requires("roles:write")), *LATELY, *SHOWING_OWN]


@router.get(PATH)
async def list_roles(
    session: SessionDep, visit: UserVisit, query: Annotated[RolesQuery, Query()]
) -> Response:
    """Show roles, newest first."""
    page = await service.list_roles(session, query)
    return visit.show("admin/roles.html", page=page, is_first=query.cursor is None)


@router.get(f"{PATH}/new", dependencies=WRITERS)
async def ask_for_role(visit: UserVisit) -> Response:
    """Show the form that adds a role."""
    return visit.show("forms/admin/roles/new.html")


@router.post(f"{PATH}/new", dependencies=WRITERS)
async def create_role(
    session: SessionDep, caller: GranterDep, form: Annotated[RoleForm, Form()]
) -> Response:
    """Add a role."""
    role = await service.create_role(session, caller, form)
    return go(f"{PATH}/{role.id}", "role_added")


@router.get(ROLE, dependencies=SHOWING_OWN)
async def show_role(session: SessionDep, visit: UserVisit, role_id: uuid.UUID) -> Response:
    """Show what a role permits."""
    return visit.show("admin/role.html", role=await service.get_role(session, role_id))


@router.get(f"{ROLE}/change", dependencies=WRITERS)
async def ask_to_change_role(session: SessionDep, visit: UserVisit, role_id: uuid.UUID) -> Response:
    """Show the form with what the role is now."""
    role = await service.get_role(session, role_id)
    typed = {"name": role.name, **{f"{BOX}{each}": each for each in role.permissions}}
    return visit.show("forms/admin/roles/change.html", typed=typed)


@router.post(f"{ROLE}/change", dependencies=WRITERS)
async def update_role(
    session: SessionDep, caller: GranterDep, role_id: uuid.UUID, form: Annotated[RoleForm, Form()]
) -> Response:
    """Change the role, for all who have it."""
    await service.update_role(session, caller, role_id, RoleUpdate(**form.model_dump()))
    return go(f"{PATH}/{role_id}", "role_changed")


@router.get(f"{ROLE}/delete", dependencies=WRITERS)
async def ask_to_delete_role(session: SessionDep, visit: UserVisit, role_id: uuid.UUID) -> Response:
    """Ask whether the role is to be deleted."""
    question = Question(
        title=N_("Delete this role?"),
        text=N_("Whoever has it loses what it permits, at once and for good."),
        button=N_("Delete the role"),
        back=f"{PATH}/{role_id}",
        about=(await service.get_role(session, role_id)).name,
    )
    return visit.show("confirm.html", question=question)


@router.post(f"{ROLE}/delete", dependencies=WRITERS)
async def delete_role(session: SessionDep, caller: GranterDep, role_id: uuid.UUID) -> Response:
    """Delete the role; nobody has it any more."""
    await service.delete_role(session, caller, role_id)
    return go(PATH, "role_deleted")
