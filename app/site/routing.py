"""Routes of pages for people: a refusal is a page as well, or leads to where to sign in."""

import re
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from pydantic import MISSING
from starlette.responses import RedirectResponse

from app.site.dependencies import find_added, find_cookie
from app.site.rendering import render
from app.web.errors import FieldError
from app.web.pages.routing import PagesFor, keep_typed
from app.web.problems import Problem
from app.web.router import ServiceRoute
from app.web.strict import given_once

_FORMS: Final = Path(__file__).parent / "templates" / "forms"
_LOCAL: Final = re.compile(r"/(?:account|admin)(?:/[\w-]+)*(?:\?[\w=&%.+@-]*)?")
_PARAMETER: Final = re.compile(r"/\{\w+\}")
_SIGN_IN_FIRST: Final = {"not_authenticated", "invalid_token", "recent_login_required"}
_MAY_NOT: Final = HTTPStatus.FORBIDDEN  # whatever is typed into the form
_SIGN_IN: Final = "forms/sign_in.html"
_PROBLEM: Final = "problem.html"
# Refusals after which another page goes on.
_TEMPLATES: Final = {
    "second_factor_required": "forms/sign_in/code.html",
    "invalid_challenge": _SIGN_IN,
    "passkey_refused": _SIGN_IN,
}
# What is kept of a form until its sender has signed in: nothing that is a secret.
_KEPT: Final = re.compile(r"email|new_email|full_name|name|permission\..+")
_OF_NO_FIELD: Final = {"extra_forbidden", "given_twice"}
# Errors that are about what was typed into one field.
_FIELDS: Final = {
    "email_taken": "email",
    "incorrect_password": "current_password",
    "incorrect_code": "code",
    "role_name_taken": "name",
    "invalid_code": "code",
}


class SiteRoute(ServiceRoute):
    """Answer an error of `POST /account/name` with `forms/account/name.html` again.

    It shows the problem, and what was typed, except passwords. Ids in the path do not count. Where
    there is no such form, another page tells of it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        name = _PARAMETER.sub("", self.path).strip("/").replace("-", "_") + ".html"
        has_form = "POST" in (self.methods or ()) and (_FORMS / name).exists()
        template = f"forms/{name}" if has_form else _PROBLEM

        async def handle_with_page(request: Request) -> Response:
            def show(problem: Problem, headers: Mapping[str, str] | None) -> Response:
                return _show_problem(request, template, problem, headers)

            request.scope["show_problem"] = show
            return await handle(request)

        return handle_with_page


def new_router(*rules: Any) -> APIRouter:
    """Make a router of pages that keep to these rules, too: dependencies.

    What another site has filled in is not shown.
    """
    return APIRouter(
        tags=["pages", "site"],
        route_class=SiteRoute,
        include_in_schema=False,
        dependencies=[Depends(each) for each in (*_RULES, *rules)],
    )


async def refuse_cross_site(request: Request) -> None:
    """Let forms be sent by pages of this origin only, be there a cookie or not."""
    find_cookie(request).refuse_cross_site(request)


_RULES: Final = (refuse_cross_site, keep_typed, given_once)


def read_path(text: str | None) -> str:
    """Return where to go on, if that is a page of ours; else the account's."""
    return text if text and _LOCAL.fullmatch(text) else "/account"


def read_kept(typed: Mapping[str, str]) -> dict[str, str]:
    """Return what a form had, whose sender had to sign in first."""
    kept = {name.removeprefix("kept."): text for name, text in typed.items()}
    return {
        name: text
        for name, text in kept.items()
        if _KEPT.fullmatch(name) and f"kept.{name}" in typed
    }


def go(path: str, done: str | None = None) -> Response:
    """Lead on after a form, so that nothing is sent again when the page is loaded again."""
    target = f"{path}?done={done}" if done else path
    return RedirectResponse(target, HTTPStatus.SEE_OTHER)


def _show_problem(
    request: Request, template: str, problem: Problem, headers: Mapping[str, str] | None
) -> Response:
    typed: dict[str, str] = getattr(request.state, "typed", {})
    if problem.code in _SIGN_IN_FIRST and problem.status in {401, 403}:
        return _ask_to_sign_in(request, problem, typed)
    if problem.code == "enrolment_required":
        return go("/account/second-factors", "enrolment_required")
    members = problem.model_extra or {}
    asks = problem.code == "second_factor_required"
    return render(
        PagesFor(request),
        _TEMPLATES.get(problem.code, template if problem.status != _MAY_NOT else _PROBLEM),
        problem.status,
        headers,
        **_describe(request, typed),
        problem=None if asks else problem,
        retry_after=int((headers or {}).get("Retry-After", "0")),
        errors=_find_errors(problem, typed),
        challenge=members.get("challenge") or typed.get("challenge", ""),
        methods=" ".join(members.get("methods", ())) or typed.get("methods", ""),
    )


def _describe(request: Request, typed: Mapping[str, str]) -> dict[str, Any]:
    return find_added(request) | {
        "typed": typed,
        "kept": read_kept(typed),
        "next_path": read_path(typed.get("next")),
        "viewer": getattr(request.state, "viewer", None),
        "path": request.url.path,
    }


def _find_errors(problem: Problem, typed: Mapping[str, str]) -> dict[str, FieldError]:
    wrong = [] if problem.errors is MISSING else problem.errors
    errors = {_find_field(each): each for each in wrong if each.type not in _OF_NO_FIELD}
    if (field := _FIELDS.get(problem.code)) and field in typed:
        errors[field] = FieldError(loc=[field], msg=problem.detail, type=problem.code)
    return errors


def _find_field(error: FieldError) -> str:
    """Return which field it is, also where one of several values in it is wrong."""
    return next((each for each in error.loc if isinstance(each, str) and each != "body"), "")


def _ask_to_sign_in(request: Request, problem: Problem, typed: Mapping[str, str]) -> Response:
    """Ask for a login, and keep what was typed until then: the session may have ended meanwhile."""
    kept = {name: text for name, text in typed.items() if _KEPT.fullmatch(name)}
    # What a passkey has signed is of no use to the next session.
    if request.method == "GET" or not kept or "credential" in typed:
        return go(f"/sign-in?next={quote(_find_page(request), safe='/')}")
    shown = _describe(request, {}) | {"kept": kept, "next_path": read_path(request.url.path)}
    return render(PagesFor(request), _SIGN_IN, problem.status, **shown)


def _find_page(request: Request) -> str:
    """Return the page that is asked for, or the one with the button that was pressed."""
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        return read_path(request.url.path + query)
    return read_path(urlsplit(request.headers.get("referer", "")).path)
