"""What only real commits show: parallel requests, and the order of commit and answer."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from psycopg import AsyncConnection
from sqlalchemy import URL
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from uvicorn import Config, Server

from app.auth.limits import PER_NETWORK
from app.auth.models import RateLimit
from app.auth.rate_limit import RateLimits
from app.web.errors import Unavailable
from tests.conftest import new_client
from tests.factories import (
    make_token,
    make_user,
    sign_in,
)
from tests.problems import read_problem
from tests.races import count_waiting
from tests.statements import record_statements

API = "/api/v1"


@pytest.fixture
async def port(live_app: FastAPI) -> AsyncIterator[int]:
    """The live application behind a socket, where an answer and its commit can be told apart."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = Server(Config(live_app, lifespan="off", log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.mark.usefixtures("_live_marbles")
async def test_commit_precedes_the_answer(
    live_database: URL, port: int, live_session: AsyncSession
) -> None:
    conninfo = live_database.set(drivername="postgresql").render_as_string(hide_password=False)
    token = await make_token(live_session, await make_user(live_session))
    body = '{"title": "New"}'
    request = (
        f"POST {API}/marbles HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()

    async def count_missed(pairs: int) -> int:
        """Write and read; a whole HTTP client would only be slower to look."""
        found = 0
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
            for _ in range(pairs):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 201 "), head
                marble = json.loads(await reader.readuntil(b"}"))
                read = await connection.execute("SELECT FROM marble WHERE id = %s", [marble["id"]])
                found += read.rowcount
        writer.close()
        await writer.wait_closed()
        return pairs - found

    missed = await asyncio.gather(*(count_missed(20) for _ in range(10)))
    assert missed == [0] * 10


MALFORMED_TOKENS = [
    b"garbage",
    b"ust_" + b"a" * 42,
    b"ust_" + b"a" * 44,
    b"ust_" + b"a" * 42 + b"=",
    b"ust_" + b"a" * 42 + b"\n" + b"a",
    b"UST_" + b"a" * 43,
    b"\xff" * 47,
    "ust_\u0661".encode() * 10,
    b"x" * 1_000_000,
    b"\0",
]


async def test_a_malformed_token_costs_no_query(live_client: AsyncClient) -> None:
    with record_statements() as statements:
        for token in MALFORMED_TOKENS:
            for method in ("GET", "PATCH"):
                headers = [(b"Authorization", b"Bearer " + token)]
                answer = await live_client.request(method, f"{API}/users/me", headers=headers)
                read_problem(answer, 401, "invalid_token")
                assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert statements == []


async def test_an_unknown_token_costs_one_query(live_client: AsyncClient) -> None:
    await live_client.get("/readyz")  # a new connection has statements of its own
    with record_statements() as statements:
        live_client.headers["Authorization"] = f"Bearer ust_{'a' * 43}"
        read_problem(await live_client.get(f"{API}/users/me"), 401, "invalid_token")
    assert len(statements) == 1


async def test_head_is_get_without_a_body(port: int) -> None:
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.get("/healthz"), await client.head("/healthz")]
    assert [answer.headers["content-length"] for answer in answers] == ["15", "15"]
    assert [answer.content for answer in answers] == [b'{"status":"ok"}', b""]


async def test_asvs_15_1_3_strangers_who_wait_leave_the_pool_to_others(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    form = {"username": user.email, "password": "wrong"}
    async with new_client(live_app) as stranger, new_client(live_app) as client:
        await sign_in(client, live_session, user)
        await stranger.post(f"{API}/auth/login", data=form)
        await live_session.exec(select(RateLimit.key_hash).with_for_update())
        waiting = [
            asyncio.create_task(stranger.post(f"{API}/auth/login", data=form)) for _ in range(30)
        ]
        while not await count_waiting(live_app):
            pass
        assert (await client.get(f"{API}/users/me")).status_code == 200
        assert not any(login.done() for login in waiting)
        await live_session.commit()
        statuses = {(await login).status_code for login in waiting}
    assert statuses == {401, 429}


async def test_asvs_13_1_3_strangers_wait_no_longer_than_others(live_app: FastAPI) -> None:
    limits: RateLimits = live_app.state.limits
    async with limits.turn(), limits.turn():
        with pytest.raises(Unavailable):
            await asyncio.wait_for(limits.consume(PER_NETWORK.use("192.0.2.1")), 10)
    await limits.consume(PER_NETWORK.use("192.0.2.1"))


async def test_asvs_16_5_4_answer_that_breaks_off_closes_the_connection(
    live_app: FastAPI, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def break_off() -> AsyncIterator[str]:
        yield "begun"
        raise ValueError("no end")

    @live_app.get("/stream", tags=["test"])
    async def stream() -> StreamingResponse:
        return StreamingResponse(break_off())

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), timeout=10)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"begun\r\n")  # and no last chunk
    assert capsys.readouterr().err.count("ValueError: no end") == 1
