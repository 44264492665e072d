"""What every answer carries, errors included, and which requests are read, and how far."""

import re
from http import HTTPStatus
from secrets import token_hex
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.answers import answer_http_error

_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")  # RFC 9110, section 7.2
_READ_AFTERWARDS: Final = ("route", "endpoint", "path_params", "problem")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# OWASP REST Security and HTTP Headers Cheat Sheets; an answer that has one of them keeps its own.
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_ONLY_HTTPS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class ResponseHeaders:
    """Add the security headers, and `X-Request-ID`: the caller's own where it is well formed.

    Pure ASGI: it costs no task and no copy of the body.
    """

    def __init__(self, app: ASGIApp, *, only_https: bool = False) -> None:
        self._app = app
        self._headers = (*_HEADERS, _ONLY_HTTPS) if only_https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = _request_id(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                present = {name for name, _ in given}
                missing = [each for each in self._headers if each[0] not in present]
                message["headers"] = [*given, *missing, (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return token_hex(16)


class OneHost:
    """Refuse a request that names no host, or several: others may read another (RFC 9112, 3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_host(scope):
            await self._app(scope, receive, send)
            return
        error = HTTPException(HTTPStatus.BAD_REQUEST, headers={"Connection": "close"})
        response = await answer_http_error(Request(scope), error)
        await response(scope, receive, send)


def _has_host(scope: Scope) -> bool:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return not hosts and scope["http_version"] == "1.0"
    return _HOST.fullmatch(hosts[0]) is not None


class HeadAsGet:
    """Answer HEAD as GET without its body (RFC 9110, 9.3.2), if no route has it itself.

    The server leaves a body out as long as its own scope says HEAD, so the GET has another scope;
    what layers around this one read is copied back.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return
        is_refused = False
        inner = {**scope, "method": "GET"}

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = message["status"] == HTTPStatus.METHOD_NOT_ALLOWED
            if not is_refused:
                await send(message)

        await self._app(scope, receive, send_unless_refused)
        if is_refused:
            scope.pop("problem", None)
            await self._app(inner, receive, send)
            scope.update({name: inner[name] for name in _READ_AFTERWARDS if name in inner})


class BodyLimit:
    """Stop reading a body that is larger than `size` bytes, by its own account or by ours.

    Then the connection is closed, as nobody knows how much more of the body comes on it. A route or
    router that has a `max_body_size` keeps to that: the framework then counts. Its answer to a
    declared length is plain text, which becomes a problem document here.
    """

    def __init__(self, app: ASGIApp, size: int) -> None:
        self._app = app
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = 0
        is_framework_s = False

        async def receive_some() -> Message:
            nonlocal seen
            if MAX_BODY_SIZE_SCOPE_KEY in scope:
                return await receive()
            if seen == 0 and _declared_size(scope) > self._size:
                raise _too_large()
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._size:
                raise _too_large()
            return message

        async def send_problem(message: Message) -> None:
            nonlocal is_framework_s
            if message["type"] == "http.response.start":
                is_framework_s = _is_plain_refusal(message)
            if not is_framework_s:
                await send(message)

        await self._app(scope, receive_some, send_problem)
        if is_framework_s:
            response = await answer_http_error(Request(scope), _too_large())
            await response(scope, receive, send)


def _is_plain_refusal(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and kind.startswith("text/plain")


def _too_large() -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, headers={"Connection": "close"})


def _declared_size(scope: Scope) -> int:
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared[:19]) if declared.isdecimal() else 0
