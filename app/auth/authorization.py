"""Who may call what: a table read off the routes themselves, for reviewers and for the tests."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.auth.dependencies import (
    Requires,
    get_any_login,
    get_current_login,
    get_current_user,
    get_recent_any_login,
    get_recent_login,
    get_superuser,
)

# The strictest first; a route that depends on none is open to anyone.
_AUDIENCES = {
    get_superuser: "superuser",
    get_current_login: "user",
    get_current_user: "user",
    get_any_login: "user",
}
_RECENT = {get_recent_login, get_recent_any_login}


BEYOND_OWN: Final = "x-permission"
"""In a route's `openapi_extra`: the permission to do with others' things what owners do."""


class Access(NamedTuple):
    method: str
    path: str
    audience: str
    permission: str | None
    """That which lets others in than the superusers, and than the owner."""


def list_access(app: FastAPI) -> list[Access]:
    """Return a line for each operation of the API, in the order of the routes."""
    return [
        Access(method, route.path or "", *_judge(route.dependant, route.original_route))
        for route in iter_route_contexts(app.routes)
        if hasattr(route, "dependant")  # not the pages of the API's own documentation
        for method in sorted(route.methods or ())
    ]


def list_permissions(app: FastAPI) -> frozenset[str]:
    """Return all permissions that routes ask for."""
    return frozenset(access.permission for access in list_access(app) if access.permission)


def _judge(dependant: Dependant, route: Any) -> tuple[str, str | None]:
    """Return who may call a route, in words, and with which permission."""
    calls = {each.call for each in _flatten(dependant)}
    audience = next((name for call, name in _AUDIENCES.items() if call in calls), "anyone")
    required = next((call.permission for call in calls if isinstance(call, Requires)), None)
    beyond_own = (route.openapi_extra or {}).get(BEYOND_OWN)
    if beyond_own:
        audience = f"{audience}; with {beyond_own} beyond their own"
    recent = ", recent login" if _RECENT & calls else ""
    return f"{required or audience}{recent}", required or beyond_own


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _flatten(each)
