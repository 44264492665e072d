"""Who may call what: a table read off the routes themselves, for reviewers and for the tests."""

from collections.abc import Iterator
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.auth.dependencies import (
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


class Access(NamedTuple):
    method: str
    path: str
    audience: str


def list_access(app: FastAPI) -> list[Access]:
    """Return a line for each operation of the API, in the order of the routes."""
    return [
        Access(method, route.path or "", _audience(route.dependant))
        for route in iter_route_contexts(app.routes)
        if hasattr(route, "dependant")  # not the pages of the API's own documentation
        for method in sorted(route.methods or ())
    ]


def _audience(dependant: Dependant) -> str:
    calls = {each.call for each in _flatten(dependant)}
    audience = next((name for call, name in _AUDIENCES.items() if call in calls), "anyone")
    return f"{audience}, recent login" if _RECENT & calls else audience


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _flatten(each)
