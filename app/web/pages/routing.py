"""Routes of pages: what is refused is shown on the page, and forms of other sites are refused."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import MISSING

from app.web.errors import FieldError, Forbidden
from app.web.negotiation import find_language
from app.web.pages.rendering import Pages
from app.web.problems import Problem
from app.web.router import ServiceRoute
from app.web.strict import given_once

# Errors that are about what was typed into one field.
_FIELDS = {"invalid_token": "token"}


# Errors for which the page has, perhaps, no field to show them at.
_OF_NO_FIELD = {"extra_forbidden", "given_twice"}


class CrossSitePost(Forbidden):
    """The form was sent from another site; nothing was done."""


@dataclass(frozen=True, slots=True)
class PagesFor:
    """The pages, in the language of a request: it may be known late, with who is calling."""

    request: Request

    def render(
        self,
        template: str,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        pages: Pages = self.request.app.state.pages
        language = find_language(self.request)
        return pages.render(template, status, headers, language=language, **values)


class PageRoute(ServiceRoute):
    """Answer an error with the page of the same path again: `/set-password`, `set_password.html`.

    It shows the problem, and in its form what was typed, except passwords.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        template = self.path.strip("/").replace("-", "_") + ".html"

        async def handle_with_page(request: Request) -> Response:
            request.scope["show_problem"] = partial(_show_problem, request, template)
            return await handle(request)

        return handle_with_page


def _show_problem(
    request: Request, template: str, problem: Problem, headers: Mapping[str, str] | None
) -> Response:
    wrong = [] if problem.errors is MISSING else problem.errors
    errors = {str(error.loc[-1]): error for error in wrong if error.type not in _OF_NO_FIELD}
    if field := _FIELDS.get(problem.code):
        errors[field] = FieldError(loc=[field], msg=problem.detail, type=problem.code)
    return PagesFor(request).render(
        template,
        problem.status,
        headers,
        problem=problem,
        retry_after=int((headers or {}).get("Retry-After", "0")),
        errors=errors,
        typed=getattr(request.state, "typed", {}),
    )


async def get_pages(request: Request) -> PagesFor:
    return PagesFor(request)


PagesDep = Annotated[PagesFor, Depends(get_pages)]


async def refuse_cross_site(request: Request) -> None:
    """Let a form be sent by the service's own pages only; raise `CrossSitePost`.

    There are no cookies, so another site could send nothing in its visitor's name: what authorizes
    is the token in the form. But it could have its visitors ask for mail, from all their addresses.
    Browsers say where a form is from in `Sec-Fetch-Site`; older ones, and all on plain HTTP, in
    `Origin`. That is `null` for our own forms too, since these pages send no referrer.
    """
    if request.method == "GET":
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    if site is not None:
        is_own = site in {"same-origin", "none"}
    else:
        is_own = origin == "null" or origin.partition("://")[2] == request.headers.get("host")
    if not is_own:
        raise CrossSitePost


async def keep_typed(request: Request) -> None:
    """Keep what was typed, for the page that says what is wrong with it."""
    form = await request.form()
    request.state.typed = {name: text for name, text in form.items() if isinstance(text, str)}


# In this order: what another site has filled in is not shown.
FORM_RULES = [Depends(refuse_cross_site), Depends(keep_typed), Depends(given_once)]
