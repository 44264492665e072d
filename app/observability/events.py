"""One event for each request, and the last resort when one has failed unexpectedly."""

import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.observability.logging import LogEvent, LogLevel
from app.web.router import name_operation

Observe = Callable[[str, str, int, str, float], None]
"""What is told of each answer: operation, method, status, error code, seconds."""

_UUID = re.compile(r"[0-9a-f-]{36}", re.IGNORECASE)
_REFUSALS = {401, 403, 429, 503}
_PROBES = {"health-get_liveness", "health-get_readiness"}


class RequestEvents:
    """Log each request once it is answered: what was asked for, by whom, and what came of it.

    `user_id` and `session_id` are there as soon as someone has bound them. Neither the path nor
    the query is logged, since clients put secrets into them; ids of the path are the `target`.
    """

    def __init__(self, app: ASGIApp, log: LogEvent, observe: Observe | None = None) -> None:
        self._app = app
        self._log = log
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
        self._log(_choose_level(operation, status), "request", **event)


def _choose_level(operation: str, status: int) -> LogLevel:
    if status in _REFUSALS:
        return "warning"
    if status >= 500 or status == 0:  # noqa: PLR2004  # RFC 9110: the server has failed
        return "error"
    return "debug" if operation in _PROBES else "info"


class LastResort:
    """Log what nobody has caught, once, and leave the connection open.

    The answer has left by then; the framework raises the error again only for servers to log it,
    and they close the connection. An answer that has begun but not ended makes them do that still.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger(__name__).bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # the last resort
            self._log.error("unexpected_error", exc_info=error)
