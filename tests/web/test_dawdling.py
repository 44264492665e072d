"""Clients that dawdle, or hold more connections than their share: the service closes them."""

import socket
import threading
from collections.abc import Iterator

import httpx2
import psutil
import pytest
import uvicorn
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from app.web.protocol import Connection

MOST = 20
HEAD = b"GET /healthz HTTP/1.1\r\nHost: t\r\n"
POST = (
    b"POST /api/v1/auth/signup HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2000\r\n\r\n"
)
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Of a server with little patience, in a thread; nobody asks it for what the database has."""
    settings = Settings(
        _env_file=None,
        database_url=SecretStr("postgresql://postgres@127.0.0.1:1/app"),
        mail_worker=False,
        keep_alive_timeout=1,
        head_timeout=1,
        body_timeout=1,
        send_timeout=1,
        max_connections=MOST,
    )
    config = uvicorn.Config(create_app(settings), http=Connection, ws="none", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=4 * MOST) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


def connect(address: tuple[str, int]) -> socket.socket:
    # For a reader that does not read, the kernel would hold megabytes.
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect(address)
    return client


def say(address: tuple[str, int], *parts: bytes, drip: bytes = b"") -> bytes:
    """Send the parts, then `drip` again and again; return all that the server says to its end."""
    said = b""
    with connect(address) as client:
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
    address: tuple[str, int], parts: list[bytes], drip: bytes, answers: list[bytes]
) -> None:
    said = say(address, *parts, drip=drip)
    assert [line.split()[1] for line in said.split(b"\r\n") if line[:5] == b"HTTP/"] == answers


def test_asvs_13_1_2_answer_that_is_not_taken_is_given_up(address: tuple[str, int]) -> None:
    with connect(address) as client, pytest.raises(ConnectionError):
        client.sendall(LARGE * 1_000_000)


@pytest.mark.parametrize("start", [HEAD, POST, b""])
def test_asvs_13_1_2_dawdlers_shut_nobody_out(address: tuple[str, int], start: bytes) -> None:
    dawdlers = [connect(address) for _ in range(3 * MOST)]
    try:
        for each in dawdlers:
            each.sendall(start)
        host, port = address
        assert httpx2.get(f"http://{host}:{port}/healthz").status_code == 200
        held = [each.laddr for each in psutil.Process().net_connections() if each.raddr]
        assert sum(each == address for each in held) <= MOST
    finally:
        for each in dawdlers:
            each.close()
