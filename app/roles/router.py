"""HTTP routes for roles: what there is, who has them, and what one may do oneself."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query, status

from app.auth.dependencies import get_recent_login, requires
from app.auth.service import RecentLoginRequired
from app.roles import service
from app.roles.dependencies import GranterDep, KnownPermissions
from app.roles.models import Role
from app.roles.schemas import PermissionsPublic, RoleCreate, RolePage, RolePublic, RoleUpdate
from app.roles.service import (
    OwnPermissionsExceeded,
    RoleNameTaken,
    RoleNotAssigned,
    RoleNotFound,
)
from app.users.permissions import PermissionRequired
from app.users.service import UserNotFound
from app.web.pagination import CursorQuery, Page
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep
from app.web.strict import given_once

router = Router(tags=["roles"])
READERS = [Depends(requires("roles:read"))]
WRITERS = [Depends(requires("roles:write")), Depends(get_recent_login)]
REFUSALS = (PermissionRequired, OwnPermissionsExceeded, RecentLoginRequired)


@router.get("/users/me/permissions")
async def list_own_permissions(session: SessionDep, caller: GranterDep) -> PermissionsPublic:
    """List what the caller may do beyond their own account; superusers may do everything."""
    return await service.list_own_permissions(session, caller)


@router.get("/permissions", responses=problems(PermissionRequired), dependencies=READERS)
async def list_permissions(known: KnownPermissions) -> PermissionsPublic:
    """List all permissions that a role can have."""
    return PermissionsPublic(permissions=sorted(known))


@router.get(
    "/roles",
    response_model=RolePage,
    responses=problems(PermissionRequired),
    dependencies=[*READERS, Depends(given_once)],
)
async def list_roles(session: SessionDep, query: Annotated[CursorQuery, Query()]) -> Page[Role]:
    """List roles, newest first."""
    return await service.list_roles(session, query)


@router.post(
    "/roles",
    status_code=status.HTTP_201_CREATED,
    response_model=RolePublic,
    responses=problems(*REFUSALS, RoleNameTaken),
    dependencies=WRITERS,
)
async def create_role(session: SessionDep, caller: GranterDep, data: RoleCreate) -> Role:
    """Add a role, with permissions that the caller has."""
    return await service.create_role(session, caller, data)


@router.get(
    "/roles/{role_id}",
    response_model=RolePublic,
    responses=problems(PermissionRequired, RoleNotFound),
    dependencies=READERS,
)
async def get_role(session: SessionDep, role_id: uuid.UUID) -> Role:
    """Return a role."""
    return await service.get_role(session, role_id)


@router.patch(
    "/roles/{role_id}",
    response_model=RolePublic,
    responses=problems(*REFUSALS, RoleNotFound, RoleNameTaken),
    dependencies=WRITERS,
)
async def update_role(
    session: SessionDep, caller: GranterDep, role_id: uuid.UUID, data: RoleUpdate
) -> Role:
    """Change a role, for all who have it; what is sent as `permissions` replaces them."""
    return await service.update_role(session, caller, role_id, data)


@router.delete(
    "/roles/{role_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*REFUSALS, RoleNotFound),
    dependencies=WRITERS,
)
async def delete_role(session: SessionDep, caller: GranterDep, role_id: uuid.UUID) -> None:
    """Delete a role; who has it loses it at once."""
    await service.delete_role(session, caller, role_id)


@router.get(
    "/users/{user_id}/roles",
    responses=problems(PermissionRequired, UserNotFound),
    response_model=Sequence[RolePublic],
    dependencies=READERS,
)
async def list_user_roles(session: SessionDep, user_id: uuid.UUID) -> Sequence[Role]:
    """List the roles of a user, by name."""
    return await service.list_user_roles(session, user_id)


@router.put(
    "/users/{user_id}/roles/{role_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*REFUSALS, UserNotFound, RoleNotFound),
    dependencies=WRITERS,
)
async def assign_role(
    session: SessionDep, caller: GranterDep, user_id: uuid.UUID, role_id: uuid.UUID
) -> None:
    """Give a user a role, of whose permissions the caller has all."""
    await service.assign_role(session, caller, user_id, role_id)


@router.delete(
    "/users/{user_id}/roles/{role_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*REFUSALS, RoleNotFound, RoleNotAssigned),
    dependencies=WRITERS,
)
async def withdraw_role(
    session: SessionDep, caller: GranterDep, user_id: uuid.UUID, role_id: uuid.UUID
) -> None:
    """Take a role from a user."""
    await service.withdraw_role(session, caller, user_id, role_id)
