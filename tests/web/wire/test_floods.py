"""Requests that are too large or too many, and what they may cost."""

import json
import threading
from contextlib import suppress
from time import monotonic

import psutil
import psycopg
import pytest

from app.main import MAX_BODY_SIZE
from tests.servers import Server
from tests.web.wire.connections import API, JSON, MEBIBYTE, Connect, get


def memory(server: Server) -> int:
    size: int = psutil.Process(server.process.pid).memory_info().rss
    return size


@pytest.mark.parametrize("chunked", [True, False])
def test_asvs_15_1_3_large_body_is_refused_unread(
    server: Server, connect: Connect, *, chunked: bool
) -> None:
    before = memory(server)
    connection = connect()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (20 * MEBIBYTE)
    connection.send(b"POST /api/v1/auth/signup HTTP/1.1\r\n" + JSON + framing + b"\r\n\r\n")
    block = b" " * MAX_BODY_SIZE
    piece = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
    pieces = [piece] * (20 * MEBIBYTE // len(block))

    def send() -> None:
        with suppress(ConnectionError):  # it is closed meanwhile
            connection.send(*pieces)

    sender = threading.Thread(target=send)
    sender.start()
    assert connection.read()[0] == 413
    sender.join(timeout=30)
    assert memory(server) - before < 8 * MEBIBYTE


@pytest.mark.parametrize("line", [b"X-%d: a\r\n" + b"a" * 1000, b"%d" + b"a" * 65536])
def test_asvs_15_1_3_endless_head_is_refused(server: Server, connect: Connect, line: bytes) -> None:
    before = memory(server)
    connection = connect()
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\nX: ")
    with pytest.raises(ConnectionError):
        connection.send(*(line % number for number in range(20 * MEBIBYTE // len(line))))
    assert memory(server) - before < 8 * MEBIBYTE


def test_asvs_15_1_3_endless_line_of_requests_is_ended(server: Server, connect: Connect) -> None:
    before = memory(server)
    with pytest.raises(ConnectionError):
        connect().send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 500_000)
    assert memory(server) - before < 100 * MEBIBYTE  # without an end to it, 600


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_SIZE, 422), (MAX_BODY_SIZE + 4000, 413)])
def test_body_that_comes_with_its_head_is_no_head(
    connect: Connect, token: str, size: int, status: int
) -> None:
    head = f"PATCH {API}/users/me HTTP/1.1\r\nAuthorization: Bearer {token}\r\n".encode() + JSON
    request = head + b"Content-Length: %d\r\n\r\n" % size + b"[" + b"1" * (size - 2) + b"]"
    connection = connect()
    for _ in range(5):  # it may be read at once, or in parts
        if status == 413:
            connection = connect()
        connection.send(request)
        assert connection.read()[0] == status


def test_head_of_usual_size_is_taken_again_and_again(connect: Connect) -> None:
    connection = connect()
    for _ in range(20):
        head = b"GET /healthz HTTP/1.1\r\nHost: test\r\nX: " + b"a" * 16_000 + b"\r\n\r\n"
        connection.send(head)
        assert connection.read()[0] == 200


def test_asvs_13_1_3_locked_table_is_answered_in_time(
    connect: Connect, database: str, token: str
) -> None:
    connections = [connect() for _ in range(60)]
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE login_session, alembic_version")
        started = monotonic()
        for number, connection in enumerate(connections):
            connection.send(get((f"{API}/users/me", "/readyz")[number % 2], token))
        answers = [connection.read() for connection in connections]
        assert monotonic() - started < 6
        holder.rollback()
    for status, headers, body in answers:
        assert (status, json.loads(body)["code"]) == (503, "unavailable")
        assert int(headers["retry-after"]) > 0
    connections[0].send(get("/readyz", token))
    assert connections[0].read()[0] == 200


def test_asvs_13_1_2_connections_share_a_small_pool(connect: Connect, token: str) -> None:
    connections = [connect() for _ in range(200)]
    for connection in connections:
        connection.send(get(f"{API}/users/me", token))
    statuses = [connection.read()[0] for connection in connections]
    # On a busy machine, some have waited for longer than 3 seconds.
    assert {200} <= {*statuses} <= {200, 503}
