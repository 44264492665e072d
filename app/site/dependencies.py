"""Who looks at a page, and how it is shown to them."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from app.auth.dependencies import (
    AnyLogin,
    CurrentLogin,
    OptionalLogin,
    get_recent_any_login,
    get_recent_login,
)
from app.auth.sessions import Login
from app.site.cookie import SessionCookie
from app.site.rendering import Viewer, render
from app.web.pages.routing import PagesFor


def find_cookie(request: Request) -> SessionCookie:
    """Return the cookie among the places where tokens may be."""
    sources = request.app.state.token_sources
    return next(each for each in sources if isinstance(each, SessionCookie))


async def get_cookie(request: Request) -> SessionCookie:
    return find_cookie(request)


CookieDep = Annotated[SessionCookie, Depends(get_cookie)]


def add_to_page(request: Request, **values: Any) -> None:
    """Let the page show these: the one that is asked for, and one that tells of an error."""
    request.state.added = find_added(request) | values


def find_added(request: Request) -> dict[str, Any]:
    """Return what dependencies have found for the page."""
    added: dict[str, Any] = getattr(request.state, "added", {})
    return added


@dataclass(frozen=True, slots=True)
class Visit:
    """A look at a page, by somebody who is signed in or not."""

    request: Request
    caller: Login | None

    @property
    def login(self) -> Login:
        """Whoever is signed in; for routes that let nobody else in."""
        assert self.caller is not None  # noqa: S101  # the dependency has seen to it
        return self.caller

    def show(self, template: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Show a page."""
        common = {"path": self.request.url.path, "done": self.request.query_params.get("done")}
        viewer = Viewer.of(self.caller) if self.caller else None
        shown = common | {"viewer": viewer} | find_added(self.request) | values
        return render(PagesFor(self.request), template, status, **shown)


def _visit(request: Request, login: Login | None) -> Visit:
    """Note who looks, for the page that tells of an error."""
    request.state.viewer = Viewer.of(login) if login else None
    return Visit(request, login)


async def visit(request: Request, login: OptionalLogin) -> Visit:
    return _visit(request, login)


async def visit_as_user(request: Request, login: CurrentLogin) -> Visit:
    return _visit(request, login)


async def visit_as_anybody(request: Request, login: AnyLogin) -> Visit:
    return _visit(request, login)


# For the `dependencies` of routes: who looks is noted before anything refuses, so that the page
# which tells of it knows them.
LATELY: Final = [Depends(visit_as_user), Depends(get_recent_login)]
LATELY_ANYBODY: Final = [Depends(visit_as_anybody), Depends(get_recent_any_login)]

VisitDep = Annotated[Visit, Depends(visit)]
UserVisit = Annotated[Visit, Depends(visit_as_user)]
AnyVisit = Annotated[Visit, Depends(visit_as_anybody)]
"""Of those too who must set up a second factor first."""
