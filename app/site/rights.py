"""What the visitor may do beyond the own account: the pages and the buttons that are shown."""

from collections.abc import Collection
from typing import Final

from fastapi import Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.site.dependencies import UserVisit, add_to_page
from app.site.routing import go, new_router
from app.users.models import User
from app.users.permissions import PermissionRequired, may
from app.web.session import SessionDep

router = new_router()
PLACES: Final = {
    "/admin/users": "users:read",
    "/admin/roles": "roles:read",
    "/admin/events": "audit:read",
}
"""The pages of administration that a permission opens, in the order of their tabs."""
RIGHTS: Final = (*PLACES.values(), "users:write", "roles:write")


async def find_rights(
    session: AsyncSession, user: User, wanted: Collection[str] = RIGHTS
) -> frozenset[str]:
    """Return those that the user has; it costs a statement for each, and none of superusers."""
    return frozenset([each for each in wanted if await may(session, user, each)])


async def show_rights(request: Request, session: SessionDep, visit: UserVisit) -> None:
    """Have the page show what its visitor may do, and nothing else."""
    add_to_page(request, rights=await find_rights(session, visit.login.user))


@router.get("/admin")
async def find_first_place(session: SessionDep, visit: UserVisit) -> Response:
    """Lead to the first page of administration that the visitor may open."""
    rights = await find_rights(session, visit.login.user, PLACES.values())
    for place, permission in PLACES.items():
        if permission in rights:
            return go(place)
    raise PermissionRequired("users:read")
