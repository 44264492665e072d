"""An error in a WebSocket that is open already: it can be closed, and answered no more."""

from contextlib import suppress
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DENIAL: Final = "websocket.http.response."
# Close codes (RFC 6455, section 7.4.1, and its registry).
_POLICY_VIOLATION, _INTERNAL_ERROR, _TRY_AGAIN_LATER = 1008, 1011, 1013


class WebSocketErrors:
    """Close an open WebSocket by a code where its error would be answered with a document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        is_open = False

        async def send_or_close(message: Message) -> None:
            nonlocal is_open
            if not is_open or not message["type"].startswith(_DENIAL):
                is_open |= message["type"] == "websocket.accept"
                await send(message)
            elif message["type"] == f"{_DENIAL}start":
                await send({"type": "websocket.close", "code": _find_code(message["status"])})

        try:
            await self._app(scope, receive, send_or_close)
        except Exception:
            if is_open:
                with suppress(RuntimeError):  # as the client has left, or it is closed already
                    await send({"type": "websocket.close", "code": _INTERNAL_ERROR})
            raise


def _find_code(status: int) -> int:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _TRY_AGAIN_LATER
    return _POLICY_VIOLATION if status < HTTPStatus.INTERNAL_SERVER_ERROR else _INTERNAL_ERROR
