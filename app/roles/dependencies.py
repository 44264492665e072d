"""Who changes roles, and which permissions there are."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.authorization import list_access
from app.auth.dependencies import CurrentUser
from app.roles.service import Granter


async def get_known_permissions(request: Request) -> frozenset[str]:
    """Return those that the routes of the application ask for."""
    state = request.app.state
    if not hasattr(state, "permissions"):  # to look at all routes takes a while, for few requests
        asked = (access.permission for access in list_access(request.app))
        state.permissions = frozenset(filter(None, asked))
    known: frozenset[str] = state.permissions
    return known


KnownPermissions = Annotated[frozenset[str], Depends(get_known_permissions)]


async def get_granter(user: CurrentUser, known: KnownPermissions) -> Granter:
    return Granter(user, known)


GranterDep = Annotated[Granter, Depends(get_granter)]
