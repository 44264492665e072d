"""The router of every domain: one transaction for each request, and strict input."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.database.deadline import time_limit
from app.database.transactions import commit, repeat
from app.web.session import find_session
from app.web.strict import StrictRequest, require_utf8

_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_STRUCTURES: Final = ("attributes_type", "dict_type", "list_type", "dataclass_type")
Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class ServiceRoute(APIRoute):
    """Commit before the answer leaves, and run the request again where that can help.

    A client that has read `201 Created` therefore finds the row, and a commit that fails is an
    error that it sees.
    """

    def get_route_handler(self) -> Handle:
        """Return what FastAPI calls with each request."""
        handle = _refuse_other_media_types(super().get_route_handler())

        async def handle_in_transaction(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            await require_utf8(request)

            async def attempt() -> Response:
                await _begin_anew(request)
                response = await handle(request)
                if session := find_session(request.scope):
                    await commit(session)
                return response

            with time_limit(request.app.state.database.request_timeout):
                return await repeat(attempt, lambda: find_session(request.scope))

        return handle_in_transaction


class Router(APIRouter):
    """FastAPI's, with our route class."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"route_class": ServiceRoute} | settings)


async def _begin_anew(request: Request) -> None:
    """Undo what a try before this one has left: its session, and files that were read."""
    if session := find_session(request.scope):
        del request.state.session
        await session.close()
        if request.headers.get("content-type", "").startswith("multipart/"):
            for value in (await request.form()).values():
                if isinstance(value, UploadFile):
                    await value.seek(0)


def _refuse_other_media_types(handle: Handle) -> Handle:
    """Answer 415 where a body is refused because FastAPI has not even read it."""

    async def handle_media_type(request: Request) -> Response:
        try:
            return await handle(request)
        except RequestValidationError as error:
            expected = _find_expected(request, error)
            if expected is None:
                raise
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            raise HTTPException(status, headers={"Accept": expected}) from error

    return handle_media_type


def _find_expected(request: Request, error: RequestValidationError) -> str | None:
    """Return the media type that the route takes, if the body was of another.

    FastAPI leaves a body as bytes that says not to be JSON, and finds no field in what is no form.
    """
    about_body = [each["type"] for each in error.errors() if each["loc"][:1] == ("body",)]
    if not any(each == "missing" or each.endswith(_STRUCTURES) for each in about_body):
        return None
    if isinstance(error.body, bytes):
        return "application/json"
    given = request.headers.get("content-type", "")
    if isinstance(error.body, FormData) and _has_body(request) and not given.startswith(_FORMS):
        return _FORMS[0]
    return None


def _has_body(request: Request) -> bool:
    declared = request.headers.get("content-length", "0")
    return declared != "0" or "transfer-encoding" in request.headers
