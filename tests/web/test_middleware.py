from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.main import MAX_BODY_SIZE
from app.observability.events import LastResort, RequestEvents
from app.users.models import User
from app.web.middleware import BodyLimit, ResponseHeaders
from tests.problems import read_problem

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/api/v1/users/me"])
async def test_response_headers_are_on_every_answer(client: AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"X-Request-ID": "one.of-my_9"})
    assert response.headers["x-request-id"] == "one.of-my_9"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("malformed", ["", "a" * 65, "two words", "a\r\nb", "é"])
async def test_response_headers_replace_a_malformed_request_id(
    client: AsyncClient, malformed: str
) -> None:
    headers = [(b"X-Request-ID", malformed.encode())]
    answers = [await client.get("/healthz", headers=headers) for _ in range(2)]
    first, second = (answer.headers["x-request-id"] for answer in answers)
    assert first != second
    assert first.isalnum()


async def test_response_headers_are_on_an_unexpected_error(
    app: FastAPI, client: AsyncClient
) -> None:
    @app.get("/fault", tags=["test"])
    async def fail() -> None:
        raise ValueError("a secret")

    answer = await client.get("/fault", headers={"X-Request-ID": "mine"})
    problem = read_problem(answer, 500, "internal_server_error")
    assert problem["request_id"] == "mine"
    assert "secret" not in answer.text


async def test_body_limit_refuses_a_declared_length_unread(client: AsyncClient) -> None:
    async def never_read() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    headers = JSON | {"Content-Length": str(MAX_BODY_SIZE + 1)}
    answer = await client.post("/api/v1/auth/signup", content=never_read(), headers=headers)
    read_problem(answer, 413, "content_too_large")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/api/v1/auth/signup", "application/json"),
        ("/api/v1/auth/login", "application/x-www-form-urlencoded"),
    ],
)
async def test_body_limit_stops_reading_a_long_chunked_body(
    client: AsyncClient, session: AsyncSession, path: str, content_type: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent <= 2 * MAX_BODY_SIZE:
            sent += 1024
            yield b" " * 1024

    answer = await client.post(path, content=endless(), headers={"Content-Type": content_type})
    read_problem(answer, 413, "content_too_large")
    assert sent == MAX_BODY_SIZE + 1024
    assert (await session.exec(select(func.count()).select_from(User))).one() == 0


async def test_body_limit_lets_the_largest_body_pass(client: AsyncClient) -> None:
    content = b'{"email": "a@example.com"}'.ljust(MAX_BODY_SIZE)
    answer = await client.post("/api/v1/auth/signup", content=content, headers=JSON)
    problem = read_problem(answer, 422, "unprocessable_content")
    assert problem["errors"] == [
        {"loc": ["body", "password"], "msg": "Field required", "type": "missing"}
    ]


async def test_body_limit_ignores_a_length_that_is_no_number(client: AsyncClient) -> None:
    answer = await client.post(
        "/api/v1/auth/signup", content=b"{}", headers=JSON | {"Content-Length": "many"}
    )
    read_problem(answer, 422, "unprocessable_content")


@pytest.mark.parametrize(
    "middleware",
    [
        ResponseHeaders,
        lambda app: RequestEvents(app, print),
        LastResort,
        lambda app: BodyLimit(app, 1),
    ],
)
async def test_middleware_leaves_other_protocols_alone(middleware: type[ResponseHeaders]) -> None:
    passed: list[object] = []

    async def inner(*arguments: object) -> None:
        passed.extend(arguments)

    async def receive() -> dict[str, object]:
        return {}

    async def send(_: object) -> None: ...

    scope = {"type": "lifespan"}
    await middleware(inner)(scope, receive, send)
    assert passed == [scope, receive, send]
