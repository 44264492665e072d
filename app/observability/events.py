"""One event for each request, and the last resort when one has failed unexpectedly."""

import logging
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.web.handlers import answer

Observe = Callable[[str, str, int, str, float], None]
"""What is told of each answer: operation, method, status, error code, seconds."""

_UUID = re.compile(r"[0-9a-f-]{36}", re.IGNORECASE)
_REFUSALS = {401, 403, 429, 503}
log = structlog.get_logger("app.requests")
_PROBES = {"health-get_liveness", "health-get_readiness"}


def name_operation(route: Any) -> str:
    """Return the `operationId`: the domain and the function, as `auth-log_in`.

    What is no route of FastAPI's has no tags, and perhaps no name: a mounted application.
    """
    names = [*getattr(route, "tags", ())[:1], getattr(route, "name", "") or "unnamed"]
    return "-".join(map(str, names))


class RequestEvents:
    """Log each request once it is answered: what was asked for, by whom, and what came of it.

    `user_id` and `session_id` are there as soon as someone has bound them. Neither the path nor
    the query is logged, since clients put secrets into them; ids of the path are the `target`.
    """

    def __init__(self, app: ASGIApp, observe: Observe | None = None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clear_contextvars()  # a connection's requests may share a context
        bind_contextvars(request_id=scope["request_id"])
        status = 0
        started = perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._report(scope, status, perf_counter() - started)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        operation = name_operation(route) if route else "unmatched"
        method, code = scope["method"], scope.get("problem", "")
        if self._observe:
            self._observe(operation, method, status, code, seconds)
        client = scope.get("client")
        event: dict[str, Any] = {
            "operation": operation,
            "method": method,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "client": client[0] if client else None,
        }
        if code:
            event["code"] = code
        if parameters := scope.get("path_params"):
            event["target"] = {
                name: value for name, value in parameters.items() if _UUID.fullmatch(str(value))
            }
        log.log(_choose_level(operation, status), "request", **event)


def _choose_level(operation: str, status: int) -> int:
    if status in _REFUSALS:
        return logging.WARNING
    if status >= 500 or status == 0:  # noqa: PLR2004  # RFC 9110: the server has failed
        return logging.ERROR
    return logging.DEBUG if operation in _PROBES else logging.INFO


class LastResort:
    """Log what nobody has caught, once, answer with the handler for it, and leave no trace of it.

    The framework's own layer for that stands outside of all others, whose headers and events its
    answer would lack, and raises the error again for servers to log it and to close the
    connection. An answer that has begun but not ended makes them do that still.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:  # the last resort
            log.exception("unexpected_error", exc_info=error)
            if not has_begun:
                response = await answer(error, scope, receive)
                await response(scope, receive, send)
