"""Clients that dawdle, or hold more connections than their share: the service closes them."""

import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.servers import Server, running_app

MOST = 20
HEAD = b"GET /healthz HTTP/1.1\r\nHost: t\r\n"
POST = (
    b"POST /api/v1/auth/signup HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2000\r\n\r\n"
)
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
def server(create_database: Callable[[], URL]) -> Iterator[Server]:
    """A server with little patience."""
    with running_app(
        DATABASE_URL=libpq_uri(create_database()),
        KEEP_ALIVE_TIMEOUT="1",
        HEAD_TIMEOUT="1",
        BODY_TIMEOUT="1",
        SEND_TIMEOUT="1",
        MAX_CONNECTIONS=str(MOST),
    ) as server:
        yield server


def connect(server: Server) -> socket.socket:
    url = urlsplit(server.url)
    # For a reader that does not read, the kernel would hold megabytes.
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect((url.hostname, url.port))
    return client


def say(server: Server, *parts: bytes, drip: bytes = b"") -> bytes:
    """Send the parts, then `drip` again and again; return all that the server says to its end."""
    said = b""
    with connect(server) as client:
        for part in parts:
            client.sendall(part)
        client.settimeout(0.05 if drip else 30)
        while True:
            try:
                if not (some := client.recv(65536)):
                    return said
                said += some
            except TimeoutError:
                if not drip:
                    raise
                client.sendall(drip)
            except ConnectionError:
                return said


@pytest.mark.parametrize(
    ("parts", "drip", "answers"),
    [
        ([], b"", []),
        ([HEAD + b"\r\n"], b"", [b"200"]),
        ([HEAD], b"", [b"408"]),
        ([HEAD], b"X: y\r\n", [b"408"]),
        ([POST], b"", [b"408"]),
        ([POST, b"{"], b" ", [b"408"]),
        ([POST.replace(b"signup", b"logout")], b" ", [b"401"]),  # answered before its body is here
        ([POST.replace(b"2000", b"99999")], b" " * 10000, [b"413"]),
    ],
)
def test_asvs_13_1_2_dawdler_is_closed(
    server: Server, parts: list[bytes], drip: bytes, answers: list[bytes]
) -> None:
    said = say(server, *parts, drip=drip)
    assert [line.split()[1] for line in said.split(b"\r\n") if line[:5] == b"HTTP/"] == answers


def test_asvs_13_1_2_answer_that_is_not_taken_is_given_up(server: Server) -> None:
    with connect(server) as client, pytest.raises(ConnectionError):
        client.sendall(LARGE * 1_000_000)


@pytest.mark.parametrize("start", [HEAD, POST, b""])
def test_asvs_13_1_2_dawdlers_shut_nobody_out(server: Server, start: bytes) -> None:
    dawdlers = [connect(server) for _ in range(3 * MOST)]
    try:
        for each in dawdlers:
            each.sendall(start)
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        process = psutil.Process(server.process.pid)
        held = [each for each in process.net_connections() if each.status == "ESTABLISHED"]
        clients = [each for each in held if each.laddr[1] == urlsplit(server.url).port]
        assert len(clients) <= MOST
    finally:
        for each in dawdlers:
            each.close()
