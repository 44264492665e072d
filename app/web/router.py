"""The router of every domain: one transaction for each request, and strict input."""

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.database.deadline import LONGEST_WAIT, time_limit
from app.database.transactions import commit, repeat
from app.web.errors import ServiceError
from app.web.session import find_session, forget_session, is_generator
from app.web.strict import StrictRequest, require_utf8

_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_STRUCTURES: Final = ("attributes_type", "dict_type", "list_type", "dataclass_type")
Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class Witness(Protocol):
    """What a feature can be told of each request; `app/parts.py` names the witnesses."""

    async def note(self, request: Request, session: AsyncSession) -> None:
        """Be told that a request has done its work in the session, right before the commit."""

    async def note_refusal(self, request: Request, error: ServiceError) -> None:
        """Be told that a request is refused, and that what it has done is undone."""


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
                if find_session(request.scope):
                    await _begin_anew(request)
                return await _handle_and_commit(request, handle)

            # There is no database before the application has started, as in some tests.
            database = request.state.sqlmodel_database
            with time_limit(database.request_timeout if database else LONGEST_WAIT):
                if find_session(request.scope):  # what a middleware has done cannot be done again
                    return await _handle_and_commit(request, handle)
                return await repeat(attempt)

        return handle_in_transaction


class Router(APIRouter):
    """FastAPI's, with our route class."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"route_class": ServiceRoute} | settings)


async def _handle_and_commit(request: Request, handle: Handle) -> Response:
    """Commit what is answered, unless it is refused or yielded; undo what fails, and keep rows."""
    witnesses: Sequence[Witness] = getattr(request.app.state, "witnesses", ())
    try:
        response = await handle(request)
    except Exception as error:
        if session := find_session(request.scope):
            await session.close()
        if isinstance(error, ServiceError):
            for each in witnesses:
                await each.note_refusal(request, error)
        raise
    is_done = response.status_code < HTTPStatus.BAD_REQUEST and not is_generator(request.scope)
    if is_done and (session := find_session(request.scope)):
        for each in witnesses:
            await each.note(request, session)
        await commit(session)
    return response


async def _begin_anew(request: Request) -> None:
    """Forget the session of the try before this one, and rewind the files that it has read."""
    forget_session(request.scope)
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
