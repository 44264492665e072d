"""The one place where errors become HTTP: each is answered with a problem document."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from structlog.contextvars import bind_contextvars

from app.database import errors as database
from app.observability.metrics import UNAVAILABLE
from app.web.errors import FieldError, InvalidField, OutcomeUnknown, ServiceError, Unavailable
from app.web.languages import N_
from app.web.problems import Problem, ProblemWithObject

# RFC 9110's names, for versions of Python that still have those of RFC 2616.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_CONFLICTS = {"23503", "23505", "23P01"}  # foreign_key, unique and exclusion_violation
# Of what a column or LIMIT takes; None is psycopg's own refusal, of U+0000.
_VALUES = {"22001", "22003", "22007", "22008", "22021", "22P02", "22P05", "2201W", "2201X", None}
_WITHOUT_BODY = {204, 205, 304}
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # of a header, for one


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem document that repeats no value of the request."""
    app.exception_handler(ServiceError)(_service_error)
    app.exception_handler(InvalidField)(_invalid_field)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(answer_http_error)
    for error in (DBAPIError, PoolTimeoutError, database.DeadlineExceeded):
        app.exception_handler(error)(_unavailable)
    app.exception_handler(IntegrityError)(_integrity_error)
    app.exception_handler(DataError)(_data_error)
    app.exception_handler(database.OutcomeUnknown)(_outcome_unknown)
    app.exception_handler(Exception)(_unexpected_error)


async def _service_error(request: Request, error: ServiceError) -> Response:
    if error.reason:
        cause = database.find_cause(error)
        bind_contextvars(reason=error.reason, cause=cause)
        UNAVAILABLE.labels(error.reason, cause).inc()
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    members = {**error.members, "code": error.code()}
    return _respond(request, error.status, str(error), headers, **members)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    fields = [
        FieldError(loc=_location(each), msg=_message(each), type=each["type"])
        for each in error.errors()
    ]
    return _refuse_fields(request, fields)


async def _invalid_field(request: Request, error: InvalidField) -> Response:
    return _refuse_fields(request, [error.error])


def _refuse_fields(request: Request, fields: list[FieldError]) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return _respond(request, status, N_("The request is not valid"), errors=fields)


def _location(error: Mapping[str, Any]) -> list[str | int]:
    """Keep what can be a field's name: an unknown field's is the client's own text."""
    name = _FIELD_NAME if error["type"] == "extra_forbidden" else _ALIAS
    return [part for part in error["loc"] if isinstance(part, int) or name.fullmatch(part)]


def _message(error: Mapping[str, Any]) -> str:
    """Keep pydantic's message, except the one that quotes a character of the input."""
    if error["type"] == "uuid_parsing":
        return "Input should be a valid UUID"
    if error["type"] == "json_invalid":
        return f"JSON decode error: {error['ctx']['error']}"
    message: str = error["msg"]
    return message


async def answer_http_error(request: Request, error: HTTPException) -> Response:
    """Answer with the status and the detail that were raised, whatever they are."""
    if error.status_code in _WITHOUT_BODY:
        request.scope["problem"] = _name(_find_title(error.status_code))
        return Response(status_code=error.status_code, headers=error.headers)
    return _respond(request, error.status_code, error.detail, headers=error.headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    reason = database.find_reason(error)
    if reason is None:
        raise error
    return await _refuse(request, Unavailable(reason), error)


async def _integrity_error(request: Request, error: IntegrityError) -> Response:
    """Answer 409 to what no service has named; the event tells which constraint it was."""
    if database.sqlstate(error) not in _CONFLICTS:
        raise error
    bind_contextvars(constraint=database.find_constraint(error))
    text = N_("Another row has these values, or one that is referred to is not there")
    return _respond(request, HTTPStatus.CONFLICT, text)


async def _data_error(request: Request, error: DataError) -> Response:
    """Answer 422 to a value that no schema has refused and the database does; the event tells why.

    A division by zero, for one, is still a fault of ours.
    """
    if database.sqlstate(error) not in _VALUES:
        raise error
    bind_contextvars(cause=database.find_cause(error))
    text = "The database does not take one of the values"
    return _refuse_fields(request, [FieldError(loc=[], msg=text, type="database")])


async def _outcome_unknown(request: Request, error: database.OutcomeUnknown) -> Response:
    return await _refuse(request, OutcomeUnknown(), error)


async def _refuse(request: Request, refusal: ServiceError, error: Exception) -> Response:
    refusal.__cause__ = error
    return await _service_error(request, refusal)


async def _unexpected_error(request: Request, _: Exception) -> Response:
    return _respond(request, HTTPStatus.INTERNAL_SERVER_ERROR, N_("Something went wrong here"))


def _respond(
    request: Request,
    status: int,
    detail: object,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    title = _find_title(status)
    defaults = {"title": title, "code": _name(title)}
    scope = request.scope
    kind = Problem if isinstance(detail, str) else ProblemWithObject
    problem = kind(
        type="about:blank",
        status=status,
        detail=jsonable_encoder(detail),
        request_id=scope.get("request_id", ""),
        **defaults | members,
    )
    scope["problem"] = problem.code  # for the request's event
    show: Callable[[Problem, Mapping[str, str] | None], Response]
    show = scope.get("show_problem", _show_document)  # as a page, if its route says so
    return show(problem, headers)


def _name(title: str) -> str:
    return re.sub(r"\W+", "_", title.lower())


def _find_title(status: int) -> str:
    """Return the reason phrase, or what is to be said of a status that has none."""
    try:
        return _TITLES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _show_document(problem: Problem, headers: Mapping[str, str] | None) -> Response:
    return Response(
        problem.model_dump_json(),
        problem.status,
        headers,
        media_type="application/problem+json",
    )
