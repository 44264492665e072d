"""Roles, and users who have them, made without the requests that an administrator would send."""

from itertools import count
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.roles.models import Role, RolePermission, UserRole
from app.users.models import User
from tests.conftest import new_client
from tests.factories import make_user, sign_in

_numbers = count(1)


async def give_role(session: AsyncSession, user: User, *permissions: str) -> Role:
    """Make a role of these permissions, and give it to the user."""
    granted = [RolePermission(permission=each) for each in permissions]
    role = Role(name=f"{next(_numbers)}", granted=granted)
    session.add(role)
    await session.flush()
    session.add(UserRole(user_id=user.id, role_id=role.id))
    await session.commit()
    return role


async def make_role_objects(session: AsyncSession, owner: User) -> dict[str, Any]:
    """Return the role that routes are called with; it is good for nothing."""
    return {"role_id": (await give_role(session, owner)).id}


async def new_holder(app: FastAPI, session: AsyncSession, *permissions: str) -> AsyncClient:
    """Make a client that is signed in as a user with these permissions, and no others."""
    user = await make_user(session)
    await give_role(session, user, *permissions)
    client = new_client(app)
    await sign_in(client, session, user)
    return client
