"""HTTP on a socket: uvicorn's protocol, with a limit to how long a request's head may be."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_SIZE: Final = 64 * 1024  # bytes, give or take one read of the socket
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that does not end, which httptools would collect for as long as it comes."""

    _in_head = True
    _head_size = 0

    def data_received(self, data: bytes) -> None:
        self._head_size += len(data)  # unless a request ends in it: then the rest is not counted
        super().data_received(data)
        if self._in_head and self._head_size > MAX_HEAD_SIZE and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_size = 0
        super().on_message_complete()
