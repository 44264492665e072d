"""A shorter way to the endpoint for routes of the usual kind; others go the way of FastAPI.

FastAPI works the tree of a route's dependencies out anew for each request, which takes a fifth of
the time of a small one. The tree never changes, so here it is laid out once, as a list of calls.
How parameters are read and refused stays FastAPI's.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from inspect import isclass, iscoroutinefunction
from typing import Any, Final

from fastapi import Request, Response, params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from pydantic_core import PydanticUndefined
from sqlmodel import SQLModel
from starlette.exceptions import HTTPException

from app.web.schemas import Output

Handle = Callable[[Request], Awaitable[Response]]
_REFUSED: Final = object()
# What only FastAPI's own way can provide.
_UNUSUAL: Final = (
    *("header_params", "cookie_params", "own_oauth_scopes", "concurrency"),
    *("websocket_param_name", "http_connection_param_name", "response_param_name"),
    *("background_tasks_param_name", "security_scopes_param_name"),
)
_RESPONSE_OPTIONS: Final = (
    "include",
    "exclude",
    "exclude_unset",
    "exclude_defaults",
    "exclude_none",
)


@dataclass(frozen=True, slots=True)
class _Call:
    """A dependency, or the endpoint itself."""

    dependant: Dependant
    needs: list[tuple[str | None, int]]
    """The calls before it whose results it wants: by what name, and at which place."""

    async def run(self, request: Request, body: Any, results: list[Any], errors: list[Any]) -> Any:
        """Return its result, or `_REFUSED` where the request is not what it or its needs want."""
        of = self.dependant
        refused = bool(errors) and any(results[place] is _REFUSED for _, place in self.needs)
        arguments = {name: results[place] for name, place in self.needs if name}
        if of.path_params:
            values, found = request_params_to_args(of.path_params, request.path_params)
            arguments |= values
            errors += found
            refused = refused or bool(found)
        if of.query_params:
            values, found = request_params_to_args(of.query_params, request.query_params)
            arguments |= values
            errors += found
            refused = refused or bool(found)
        if of.body_params:
            values, found = await request_body_to_args(
                of.body_params, body, embed_body_fields=False
            )
            arguments |= values
            errors += found
            refused = refused or bool(found)
        if of.request_param_name:
            arguments[of.request_param_name] = request
        if refused:
            return _REFUSED
        return await of.call(**arguments)  # type: ignore[misc]  # FastAPI has None for no call


def shorten(route: APIRoute) -> Handle | None:
    """Return a shorter way to the endpoint than FastAPI's, if this route can take one.

    What it raises is for `ExceptionMiddleware` to handle, which every application has.
    """
    calls: list[_Call] = []
    field = route.response_field
    if field is None or not _is_usual(route) or not _lay_out(route.dependant, calls, {}):
        return None
    status = route.status_code or HTTPStatus.OK
    model = route.response_model
    shown = model if isclass(model) and issubclass(model, Output) else None

    async def handle(request: Request) -> Response:
        body = await _read_body(request) if route.body_field else None
        results: list[Any] = []
        errors: list[Any] = []
        for call in calls:
            results.append(await call.run(request, body, results, errors))
        if errors:
            raise RequestValidationError(errors)
        result = results[-1]
        if isinstance(result, Response):
            return result
        if shown and isinstance(result, SQLModel):
            content = shown.show(result)  # as pydantic would be told to
        else:
            content, wrong = field.validate(result, {}, loc=("response",))
            if wrong:
                raise ResponseValidationError(wrong, body=result)
        return Response(field.serialize_json(content), status, media_type="application/json")

    return handle


def _is_usual(route: APIRoute) -> bool:
    """Tell whether it takes JSON or nothing, and answers with what its response model makes."""
    takes_form = route.body_field and isinstance(route.body_field.field_info, params.Form)
    return (
        isinstance(route.response_class, DefaultPlaceholder)
        and route.response_model_by_alias
        and not takes_form
        and route.max_body_size is None
        and not route._embed_body_fields  # noqa: SLF001  # several bodies in one
        and not any(getattr(route, f"response_model_{name}") for name in _RESPONSE_OPTIONS)
    )


def _lay_out(dependant: Dependant, calls: list[_Call], places: dict[Any, int]) -> bool:
    """Append a dependant's calls, in the order in which FastAPI makes them, or return False."""
    if any(getattr(dependant, name) for name in _UNUSUAL):
        return False
    if not _is_coroutine_function(dependant.call):
        return False
    for each in dependant.dependencies:
        if not each.use_cache or not (each.call in places or _lay_out(each, calls, places)):
            return False
    places[dependant.call] = len(calls)
    calls.append(
        _Call(dependant, [(each.name, places[each.call]) for each in dependant.dependencies])
    )
    return True


def _is_coroutine_function(call: Any) -> bool:
    """Tell it of functions, and of objects that are called like one."""
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)


async def _read_body(request: Request) -> Any:
    """Return what the JSON says, or raise as FastAPI does; its media type has been looked at."""
    try:
        return await request.json() if await request.body() else PydanticUndefined
    except json.JSONDecodeError as error:
        detail = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise RequestValidationError([detail], body=error.doc) from error
    except HTTPException:
        raise
    except Exception as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error
