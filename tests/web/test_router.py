from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

MARBLES = "/api/v1/marbles"
pytestmark = pytest.mark.usefixtures("_marbles")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"NaN",
        b'{"title": NaN}',
        b'{"title": Infinity}',
        b'{"title": -Infinity}',
        b'{"title": 1e999}',
        b'{"title": ' + b"9" * 5000 + b"}",
        b'{"title": 9223372036854775808}',
        b'{"title": "canary", "title": "canary"}',
        b'{"title": "canary", "description": {"a": 1, "a": 1}}',
        b'{"title": "canary", "t\\u0069tle": "canary"}',
        b'{"title": "canary\xff"}',
        b'{"title": "canary\xed\xa0\x80"}',
        b'{"title": "canary\\ud800"}',
        b'{"title": "canary\\udc00\\ud800"}',
        b'{"title": "canary\\u0000"}',
        b'{"title": "canary\0"}',
        b'{"title": "canary\\u001b[2J"}',
        b'{"title": "canary\\u0085"}',
        b'{"title": "canary", "description": "\\u0007"}',
        b'\xef\xbb\xbf{"title": "canary"}',
        b'{"title": "canary"}'.decode().encode("utf-16"),
        b"[" * 60_000,
        b'{"title":' * 7_000,
        b'{"title": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"title": "canary", "unknown": 1}',
        b'{"title": "canary", "\\ud800": 1}',
        b'{"title": "canary", "__proto__": {}}',
    ],
)
async def test_strict_request_refuses_what_is_no_valid_body(
    session: AsyncSession, user_client: AsyncClient, user: User, content: bytes
) -> None:
    marble = await make_marble(session, user, title="Kept")
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", MARBLES), ("PATCH", f"{MARBLES}/{marble.id}")):
        answer = await user_client.request(method, path, content=content, headers=headers)
        read_problem(answer, 422, "unprocessable_content")
        assert "canary" not in answer.text
        assert answer.text.isprintable()
    await session.refresh(marble)
    assert (marble.title, marble.description) == ("Kept", None)
    assert (await session.exec(select(func.count()).select_from(Marble))).one() == 1


async def test_hundred_thousand_nested_brackets_are_too_large(user_client: AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await user_client.post(MARBLES, content=b"[" * 100_000, headers=headers)
    read_problem(answer, 413, "content_too_large")


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/xml", "json", "application/jsonp", "text/x+json"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_body_of_another_type_is_refused(
    user_client: AsyncClient, method: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    path = MARBLES if method == "POST" else f"{MARBLES}/{uuid4()}"
    answer = await user_client.request(method, path, content=b'{"title": "A"}', headers=headers)
    read_problem(answer, 415, "unsupported_media_type")
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("content_type", ["Application/JSON ; a=b", "application/merge-patch+json"])
async def test_body_of_any_json_type_is_taken(user_client: AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await user_client.post(MARBLES, content=b'{"title": "A"}', headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_form_of_another_type_is_refused(client: AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await client.post("/api/v1/auth/login", content=b"--a--", headers=headers)
    read_problem(answer, 415, "unsupported_media_type")
    assert answer.headers["accept"] == "application/x-www-form-urlencoded"


async def test_route_without_a_body_ignores_the_type(user_client: AsyncClient) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = await user_client.post("/api/v1/auth/logout", content=b"a", headers=headers)
    assert answer.status_code == 204


async def test_strict_request_takes_all_of_unicode(user_client: AsyncClient) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    content = '{"title": "\\ud83d\\udc69 Zoë"}'.encode()
    response = await user_client.post(MARBLES, content=content, headers=headers)
    assert response.json()["title"] == "👩 Zoë"


@pytest.mark.parametrize("text", [b"\xff", b"%ff", b"%ED%A0%80"])
async def test_strict_request_refuses_a_form_that_is_not_utf_8(
    client: AsyncClient, text: bytes
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"username=a&password=" + text
    answer = await client.post("/api/v1/auth/login", content=body, headers=headers)
    read_problem(answer, 400, "bad_request")
