"""One client's connection: how long it may dawdle, and how much it may send before it is heard."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from math import inf
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.web.connections import Connections

MAX_HEAD_SIZE: Final = 64 * 1024  # bytes
_READ: Final = 256 * 1024  # bytes that one read of a socket gives at most
_BODY_RATE: Final = 4096  # bytes of a body that earn it another second
_BODILESS: Final = {"GET", "HEAD", "OPTIONS"}


class Connection(asyncio.Protocol):
    """One connection: what it does is uvicorn's protocol's; this looks at the clock each second.

    `Watched` tells it when a request begins, waits for its body, and ends.
    """

    def __init__(self, *, app_state: dict[str, Any], **arguments: Any) -> None:
        self._all: Connections = app_state["connections"]
        self._patience = self._all.patience
        self._http = HttpToolsProtocol(app_state={**app_state, "connection": self}, **arguments)
        self._loop = asyncio.get_running_loop()
        self._requests = 0  # that the application has not finished
        self._is_idle = True
        self._in_head = False
        self._unread = 0  # bytes that no request has taken, of heads or of those that came early
        self._has_rest = False  # of a body, which the application may not have wanted
        self._is_deaf = False
        self._wait_until = inf
        self._taken_by = inf

    def get_deadline(self) -> float:
        """Return when the client's time is up; while it has to wait itself, never."""
        return min(self._wait_until, self._taken_by)

    # What the event loop tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's
        self._transport = transport
        self._wait(self._patience.idle)
        self._http.connection_made(transport)
        self._look()
        if not self._all.add(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, b"retry-after: 1\r\n")

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._is_idle:
            self._is_idle = False
            self._in_head = True
            self._unread = 0
            self._wait(self._patience.head)
        self._unread += len(data)
        self._http.data_received(data)
        if self._unread > MAX_HEAD_SIZE:
            # By then, a request whose head has ended in these bytes has begun.
            self._loop.call_soon(self._limit)

    def pause_writing(self) -> None:
        self._taken_by = self._loop.time() + self._patience.send
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._taken_by = inf
        self._http.resume_writing()

    def eof_received(self) -> None:
        self._http.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._all.discard(self)
        self._http.connection_lost(exc)

    # What the application tells, through `Watched`.

    @contextmanager
    def serving(self, method: str) -> Iterator[None]:
        """Be patient until the block ends: the client waits for the application now."""
        self._requests += 1
        if self._in_head:  # otherwise it came while another one was under way, with more behind it
            self._in_head = False
            self._unread = 0
        self._has_rest = method not in _BODILESS
        self._wait_until = inf
        try:
            yield
        finally:
            self._requests -= 1
            # By then, the next request has begun if it is here already.
            self._loop.call_soon(self._rest)

    def receiving(self, receive: Receive) -> Receive:
        """Bound the time that the body takes: more for a large one, none for one that drips."""
        deadline = self._loop.time() + self._patience.body

        async def receive_in_time() -> Message:
            nonlocal deadline
            if not self._has_rest:
                return await receive()
            self._wait_until = deadline
            message = await receive()
            self._unread = max(0, self._unread - len(message.get("body", b"")))
            if message["type"] == "http.disconnect" and self._loop.time() >= deadline:
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT)  # the client has it already
            self._wait_until = inf
            self._has_rest = message.get("more_body", False)
            deadline += len(message.get("body", b"")) / _BODY_RATE
            return message

        return receive_in_time

    # What becomes of those whose time or size is up.

    def drop(self) -> None:
        self._all.discard(self)
        self._transport.abort()

    def _rest(self) -> None:
        if not self._requests:
            self._is_idle = True
            self._in_head = False
            self._wait(self._patience.idle)

    def _wait(self, seconds: float) -> None:
        self._wait_until = self._loop.time() + seconds

    def _look(self) -> None:
        self._timer = self._loop.call_later(1, self._look)
        now = self._loop.time()
        if self._transport.get_protocol() is not self:
            self._follow_websocket()
            return
        is_closing = self._transport.is_closing()
        if is_closing:  # once all is sent, which the client may not want to take
            self._taken_by = min(self._taken_by, now + self._patience.send)
        if now >= self._taken_by:
            self._transport.abort()
        elif now >= self._wait_until and not is_closing:
            self._end_wait()

    def _follow_websocket(self) -> None:
        """Leave it to uvicorn's other protocol, which pings, and tells nobody when it ends."""
        self._wait_until = self._taken_by = inf
        if self._transport.is_closing():
            self._timer.cancel()
            self._all.discard(self)

    def _end_wait(self) -> None:
        if self._requests or (self._in_head and not self._has_rest):
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._transport.close()

    def _limit(self) -> None:
        """End a head, or a line of requests, that does not end: uvicorn would keep all of it."""
        spare = _READ if self._requests or self._has_rest else 0
        if self._unread <= MAX_HEAD_SIZE + spare or self._transport.is_closing():
            return
        if self._has_rest:
            self._is_deaf = True  # its time runs; if it were closed now, the answer might be lost
        elif self._requests:
            self.drop()
        else:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus, headers: bytes = b"") -> None:
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
        self._transport.write(head + headers + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._transport.close()


class Watched:
    """Tell a request's connection what becomes of it; other servers' have limits of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope.get("state", {}).get("connection")
        if connection is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with connection.serving(scope["method"]):
            await self._app(scope, connection.receiving(receive), send)
