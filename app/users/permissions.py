"""Who may do what with what is not their own: superusers all, others what a feature grants them."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from app.web.errors import Forbidden

Granting = Callable[[AsyncSession, User, str], Awaitable[bool]]
GRANTING: Final[list[Granting]] = []
"""What tells whether a user has a permission; `app/parts.py` adds a feature's to it."""


class SuperuserRequired(Forbidden):
    """Only superusers may do this."""


class NeededPermission(BaseModel):
    """What a caller has not."""

    permission: str


class PermissionRequired(Forbidden):
    """A permission is needed that you do not have: see `permission`."""

    extension: ClassVar = NeededPermission

    def __init__(self, permission: str) -> None:
        super().__init__()
        self.members = NeededPermission(permission=permission).model_dump()


async def may(session: AsyncSession, user: User, permission: str) -> bool:
    """Tell whether the user has a permission: superusers do, without a statement."""
    if user.is_superuser:
        return True
    return any([await grants(session, user, permission) for grants in GRANTING])
