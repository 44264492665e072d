"""Who changes roles, and which permissions there are."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.dependencies import CurrentUser
from app.roles.service import Granter


async def get_known_permissions(request: Request) -> frozenset[str]:
    """Return those that the routes of the application ask for."""
    known: frozenset[str] = request.app.state.list_permissions()
    return known


KnownPermissions = Annotated[frozenset[str], Depends(get_known_permissions)]


async def get_granter(user: CurrentUser, known: KnownPermissions) -> Granter:
    return Granter(user, known)


GranterDep = Annotated[Granter, Depends(get_granter)]
