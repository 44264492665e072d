"""Roles, and who has them. Nobody gives or takes what they do not have themselves."""

import uuid
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar
from structlog.contextvars import bind_contextvars

from app.database.errors import violates
from app.roles.models import Role, RolePermission, UserRole
from app.roles.schemas import PermissionsPublic, RoleCreate, RoleUpdate
from app.users import service as users
from app.users.models import User
from app.users.service import UserNotFound
from app.web.errors import Conflict, Forbidden, InvalidField, NotFound
from app.web.pagination import CursorQuery, Page, get_page

MOST_BY_NAME: Final = 200
"""As many roles as somebody can choose from."""


class RoleNotFound(NotFound):
    """No role has this id."""


class RoleNotAssigned(NotFound):
    """The user does not have this role."""


class RoleNameTaken(Conflict):
    """Another role has this name."""


class OwnPermissionsExceeded(Forbidden):
    """The role has, or would have, permissions that you do not have yourself."""


class Granter(NamedTuple):
    """Who changes roles, and all permissions that there are."""

    user: User
    known: Collection[str]


async def has_permission(session: AsyncSession, user: User, permission: str) -> bool:
    """Tell whether one of the user's roles has the permission."""
    granting = (
        select(UserRole.role_id)
        .join(RolePermission, col(RolePermission.role_id) == col(UserRole.role_id))
        .where(UserRole.user_id == user.id, RolePermission.permission == permission)
    )
    return (await session.exec(granting.limit(1))).first() is not None


async def list_own_permissions(session: AsyncSession, caller: Granter) -> PermissionsPublic:
    """Return what the caller may do; what the code no longer knows is no permission."""
    own = await _find_own(session, caller)
    return PermissionsPublic(permissions=sorted(own & {*caller.known}))


async def _find_own(session: AsyncSession, caller: Granter) -> set[str]:
    if caller.user.is_superuser:
        return {*caller.known}
    granted = select(RolePermission.permission).join(
        UserRole, col(RolePermission.role_id) == col(UserRole.role_id)
    )
    return {*await session.exec(granted.where(UserRole.user_id == caller.user.id))}


async def list_roles(session: AsyncSession, query: CursorQuery) -> Page[Role]:
    """Return a page of roles, newest first."""
    return await get_page(session, select(Role), query)


async def list_by_name(session: AsyncSession) -> Sequence[Role]:
    """Return the first roles by name, for somebody to choose from."""
    return list(await session.exec(select(Role).order_by(col(Role.name)).limit(MOST_BY_NAME)))


async def get_role(session: AsyncSession, role_id: uuid.UUID) -> Role:
    """Return the role, or raise `RoleNotFound`."""
    role = await session.get(Role, role_id)
    if role is None:
        raise RoleNotFound
    return role


async def create_role(session: AsyncSession, caller: Granter, data: RoleCreate) -> Role:
    """Add a role; raise `InvalidField`, `OwnPermissionsExceeded` or `RoleNameTaken`."""
    await _require_own(session, caller, data.permissions)
    role = Role(name=data.name)
    _grant(caller, role, data.permissions)
    session.add(role)
    await _flush(session)
    return role


async def update_role(
    session: AsyncSession, caller: Granter, role_id: uuid.UUID, data: RoleUpdate
) -> Role:
    """Change a role, for all who have it; raise as `create_role` does, or `RoleNotFound`."""
    role = await _lock_own(session, caller, role_id)
    sent = data.model_dump(exclude_unset=True)
    if "permissions" in sent:
        await _require_own(session, caller, sent["permissions"])
        _grant(caller, role, sent["permissions"])
    role.sqlmodel_update({"name": sent.get("name", role.name)})
    await _flush(session)
    return role


async def delete_role(session: AsyncSession, caller: Granter, role_id: uuid.UUID) -> None:
    """Delete a role, which nobody has any more; raise `RoleNotFound`, `OwnPermissionsExceeded`."""
    await session.delete(await _lock_own(session, caller, role_id))
    await session.flush()


async def list_user_roles(session: AsyncSession, user_id: uuid.UUID) -> Sequence[Role]:
    """Return the user's roles by name, or raise `UserNotFound`."""
    await users.get_user(session, user_id)
    theirs = select(Role).join(UserRole, col(UserRole.role_id) == col(Role.id))
    ordered = theirs.where(UserRole.user_id == user_id).order_by(col(Role.name))
    return list(await session.exec(ordered))


def select_holders(role_id: uuid.UUID) -> SelectOfScalar[uuid.UUID]:
    """Select the ids of the users who have the role."""
    return select(UserRole.user_id).where(UserRole.role_id == role_id)


async def assign_role(
    session: AsyncSession, caller: Granter, user_id: uuid.UUID, role_id: uuid.UUID
) -> None:
    """Give a user a role, once; `UserNotFound`, `RoleNotFound`, `OwnPermissionsExceeded`."""
    await _lock_own(session, caller, role_id)
    new = insert(UserRole).values(user_id=user_id, role_id=role_id)
    try:
        await session.exec(new.on_conflict_do_nothing())
    except IntegrityError as error:
        if violates(error, "fk_user_role_user_id"):
            raise UserNotFound from error
        raise


async def withdraw_role(
    session: AsyncSession, caller: Granter, user_id: uuid.UUID, role_id: uuid.UUID
) -> None:
    """Take a role from a user; raise `RoleNotAssigned` as well."""
    await _lock_own(session, caller, role_id)
    theirs = delete(UserRole).where(col(UserRole.user_id) == user_id)
    if (await session.exec(theirs.where(col(UserRole.role_id) == role_id))).rowcount == 0:
        raise RoleNotAssigned


async def _lock_own(session: AsyncSession, caller: Granter, role_id: uuid.UUID) -> Role:
    """Return the role, which stays as it is until the caller is done with it."""
    role = await session.get(Role, role_id, with_for_update=True)
    if role is None:
        raise RoleNotFound
    bind_contextvars(role_id=str(role_id))
    await _require_own(session, caller, role.permissions)
    return role


async def _require_own(
    session: AsyncSession, caller: Granter, permissions: Collection[str]
) -> None:
    if not caller.user.is_superuser and {*permissions} - await _find_own(session, caller):
        raise OwnPermissionsExceeded


def _grant(caller: Granter, role: Role, permissions: Collection[str]) -> None:
    """Let the role have these, of which those that it has stay."""
    if {*permissions} - {*caller.known}:
        message = "There is no such permission; GET /permissions lists them"
        raise InvalidField("permissions", message, type="unknown_permission")
    bind_contextvars(role_id=str(role.id), permissions=sorted(permissions))
    kept = [each for each in role.granted if each.permission in permissions]
    new = {*permissions} - {each.permission for each in kept}
    role.granted = [*kept, *(RolePermission(permission=each) for each in sorted(new))]


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_role_name"):
            raise RoleNameTaken from error
        raise
