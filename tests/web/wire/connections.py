"""What goes over a socket to the server, as no HTTP client would send it."""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.servers import Server

API = "/api/v1"
MEBIBYTE = 1024 * 1024
JSON = b"Host: test\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"


class Connection:
    """A socket to the server, for requests that no HTTP client would send."""

    def __init__(self, server: Server) -> None:
        url = urlsplit(server.url)
        self.socket = socket.create_connection((url.hostname, url.port), timeout=10)
        self._file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: its status, headers and body."""
        status, headers = self.read_head()
        return status, headers, self._file.read(int(headers["content-length"]))

    def read_head(self) -> tuple[int, dict[str, str]]:
        status = int(self._file.readline().split()[1])
        lines = iter(self._file.readline, b"\r\n")
        return status, dict(line.decode().strip().split(": ", 1) for line in lines)

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def is_closed(self) -> bool:
        """Tell whether the server closes the connection, rather than waiting for a request."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:  # it had not read all that was sent
            return True


Connect = Callable[[], Connection]


def get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
