"""Where a request ends and the next begins: nobody may be of two minds about it."""

import json
from contextlib import suppress

import pytest

from app.main import MAX_BODY_SIZE
from tests.web.wire.connections import API, JSON, SMUGGLED, Connect


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length : 5\r\n",
    ],
)
def test_asvs_4_2_1_ambiguous_framing_is_refused(connect: Connect, framing: bytes) -> None:
    connection = connect()
    head = b"POST /api/v1/auth/signup HTTP/1.1\r\n" + JSON + framing + b"\r\n"
    connection.send(head + b"0\r\n\r\n" + SMUGGLED)
    status, headers, _ = connection.read()
    assert (status, headers["connection"]) == (400, "close")
    assert connection.is_closed()


HEALTH = b"GET /healthz HTTP/1.%d\r\n%b\r\n"


@pytest.mark.parametrize(
    ("minor", "hosts", "status"),
    [
        (1, b"", 400),
        (1, b"Host: a\r\nHost: a\r\n", 400),
        (1, b"Host: a b\r\n", 400),
        (1, b"Host: user@a\r\n", 400),
        (1, b"Host: a/b\r\n", 400),
        (1, b"Host:\r\n", 200),
        (1, b"hOST: [2001:db8::1]:8000\r\n", 200),
        (0, b"", 200),
        (0, b"Host: a\r\nHost: b\r\n", 400),
    ],
)
def test_request_names_one_host(connect: Connect, minor: int, hosts: bytes, status: int) -> None:
    connection = connect()
    connection.send(HEALTH % (minor, hosts))
    answered, headers, body = connection.read()
    assert answered == status
    if status == 400:
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["request_id"] == headers["x-request-id"]


@pytest.mark.parametrize("sent", ["declared", "declared only", "chunked", "chunked to its end"])
def test_connection_is_closed_after_a_body_that_is_too_large(connect: Connect, sent: str) -> None:
    connection = connect()
    body = b" " * (MAX_BODY_SIZE + 4000)
    head = b"POST /api/v1/auth/signup HTTP/1.1\r\n" + JSON
    if sent.startswith("declared"):
        connection.send(head, b"Content-Length: %d\r\n\r\n" % len(body))
        connection.send(body if sent == "declared" else b"")
    else:
        connection.send(head, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body))
        connection.send(b"0\r\n\r\n" if sent == "chunked to its end" else b"")
    status, headers, _ = connection.read()
    assert (status, headers["connection"]) == (413, "close")
    with suppress(ConnectionError):
        connection.send(SMUGGLED)
    assert connection.is_closed()


@pytest.mark.parametrize("path", ["/healthz", f"{API}/users/me", "/nowhere", "/docs"])
def test_head_is_get_without_a_body(connect: Connect, path: str) -> None:
    """Nothing may stand between the heads of two answers, or the second is misread."""
    connection = connect()
    heads = []
    for _ in range(2):
        connection.send(f"HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        heads.append(connection.read_head())
    connection.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    got, _, body = connection.read()
    assert [status for status, _ in heads] == [got] * 2
    assert [int(each["content-length"]) for _, each in heads] == [len(body)] * 2
