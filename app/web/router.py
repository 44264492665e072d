"""The route class of every router: one transaction for each request, and strict input."""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from inspect import signature
from math import isinf
from typing import Annotated, Any, NoReturn, cast
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, FastAPI, Request, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.database.session import Session
from app.database.transactions import Database
from app.web.endpoint import Handle, shorten
from app.web.parameters import Form, Query


class ServiceRoute(APIRoute):
    """Run the endpoint in a transaction that is committed before the answer leaves.

    A client that has read `201 Created` therefore finds the row, and a commit that fails is an
    error that it sees. Safe methods read without a transaction (RFC 9110, section 9.2.1).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        super().__init__(path, endpoint, **settings)
        # Here, and not in the handler, which FastAPI asks for again when a router is included: with
        # other dependencies. A subclass may have a handler of its own, which is FastAPI's to call.
        is_own = type(self).get_route_handler is ServiceRoute.get_route_handler
        if is_own and (short := shorten(self)):
            self.app = _answer_shortly(self._in_transaction(short), self.app)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what FastAPI calls with each request."""
        handle = self._in_transaction(super().get_route_handler())

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly

    def _in_transaction(self, handle: Handle) -> Handle:
        media_type = _expected_media_type(self)

        async def handle_in_transaction(request: Request) -> Response:
            if media_type and not _can_read(request, media_type):
                headers = {"Accept": media_type}
                raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, headers=headers)

            async def work(session: Session) -> Response:
                request.state.session = session
                return await handle(request)

            database: Database = request.app.state.database
            return await database.transact(work, read_only=request.method == "GET")

        return handle_in_transaction


def _answer_shortly(handle: Handle, otherwise: ASGIApp) -> ASGIApp:
    """Go FastAPI's way with `dependency_overrides`, as in tests, and with telemetry.

    Errors are answered by the application, not here: middleware of a `Mount` sees the exception.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["app"].dependency_overrides or scope.get("fastapi.telemetry"):
            await otherwise(scope, receive, send)
        else:
            response = await handle(_StrictRequest(scope, receive, send))
            await response(scope, receive, send)

    return app


def add_routes(app: FastAPI, router: APIRouter, prefix: str = "") -> None:
    """Add the routes of a router as the application's own, with their settings.

    `include_router` keeps routers apart, and compares a request with the routes of each, of the one
    that has its route twice: 45 us.
    """
    parameters = signature(app.router.add_api_route).parameters
    for route in cast(list[APIRoute], router.routes):
        settings = {name: getattr(route, name) for name in parameters if hasattr(route, name)}
        settings["path"] = prefix + settings["path"]
        app.router.add_api_route(**settings, route_class_override=type(route))


def name_operation(route: APIRoute) -> str:
    """Return the `operationId`: the domain and the function, as `auth-log_in`."""
    return f"{route.tags[0]}-{route.name}"


def _expected_media_type(route: APIRoute) -> str | None:
    if route.body_field is None:
        return None
    is_form = isinstance(route.body_field.field_info, params.Form)
    return "application/x-www-form-urlencoded" if is_form else "application/json"


def _can_read(request: Request, expected: str) -> bool:
    """Tell whether the body, if any, is of this type; `application/...+json` (RFC 6839) is JSON."""
    is_empty = request.headers.get("content-length", "0") == "0"
    if is_empty and "transfer-encoding" not in request.headers:
        return True
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = given.startswith("application/") and given.endswith("+json")
    return given == expected or (is_json and expected == "application/json")


async def get_session(request: Request) -> Session:
    """Return the session of the request's transaction."""
    session: Session = request.state.session
    return session


SessionDep = Annotated[Session, Depends(get_session)]


class _StrictRequest(Request):
    @property
    def query_params(self) -> QueryParams:
        """The query, which must be UTF-8; Starlette reads what is not as U+FFFD."""
        query: bytes = self.scope["query_string"]
        try:
            if query:
                unquote_to_bytes(query).decode()
        except UnicodeDecodeError:
            error = {"type": "unicode", "loc": ("query",), "msg": "The query is not UTF-8"}
            raise RequestValidationError([error]) from None
        return Query(query)

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override]  # nothing needs more
        """Read a form, which must be UTF-8 as well."""
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            try:
                unquote_to_bytes(await self.body()).decode()
            except UnicodeDecodeError:
                raise HTTPException(HTTPStatus.BAD_REQUEST) from None
        return Form(await super().form(**limits))

    async def json(self) -> Any:
        """Parse JSON as RFC 8259 defines it; Python's own parser is more lenient.

        Refused are NaN and Infinity, a name that occurs twice in one object, bytes that are not
        UTF-8, and what Python refuses by itself: deep nesting, numbers of thousands of digits.
        """
        try:
            return json.loads(
                (await self.body()).decode(),
                parse_constant=_refuse_constant,
                parse_float=_parse_finite,
                object_pairs_hook=_refuse_duplicates,
            )
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("not acceptable", "", 0) from error


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _parse_finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError
    return number


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members
