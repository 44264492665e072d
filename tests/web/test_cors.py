"""Which pages a browser lets call the API, and what they may read."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import URL

from app.auth.rate_limit import RateLimits
from app.database.transactions import Database
from app.main import create_app
from app.settings import Settings
from tests.conftest import new_client
from tests.factories import HASHER
from tests.problems import read_problem

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}


@pytest.fixture
def app() -> FastAPI:
    app = create_app(Settings(_env_file=None, cors_origins=f"{ORIGIN}, http://localhost:3000"))
    absent = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="app")
    app.state.database = Database(absent, pool_size=1)
    app.state.hasher = HASHER
    app.state.limits = RateLimits(app.state.database)

    @app.get("/fault")
    async def fail() -> None:
        raise AssertionError

    return app


@pytest.fixture
async def without_origins() -> AsyncIterator[AsyncClient]:
    async with new_client(create_app(Settings(_env_file=None))) as client:
        yield client


async def test_asvs_3_4_2_preflight_lets_a_listed_origin_send_what_the_api_needs(
    client: AsyncClient,
) -> None:
    headers = PREFLIGHT | {"Access-Control-Request-Headers": "authorization,content-type"}
    answer = await client.options("/api/v1/users/me", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": f"{ORIGIN}.evil.example"},
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Headers": "x-other"},
    ],
)
async def test_asvs_3_4_2_preflight_refuses_all_else(
    client: AsyncClient, header: dict[str, str]
) -> None:
    answer = await client.options("/api/v1/users/me", headers=PREFLIGHT | header)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("POST", "/api/v1/auth/signup", 415, "unsupported_media_type"),
        ("GET", "/fault", 500, "internal_server_error"),
    ],
)
async def test_errors_can_be_read_by_a_listed_origin_only(
    client: AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    body = b"{}" if method == "POST" else b""
    answer = await client.request(method, path, content=body, headers={"Origin": ORIGIN})
    read_problem(answer, status, code)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"]
    assert exposed == "X-Request-ID, Retry-After, WWW-Authenticate"
    headers = {"Origin": "https://evil.example.com"}
    answer = await client.request(method, path, content=body, headers=headers)
    read_problem(answer, status, code)
    assert "access-control-allow-origin" not in answer.headers


async def test_no_origin_is_allowed_by_default(without_origins: AsyncClient) -> None:
    answer = await without_origins.options("/api/v1/users/me", headers=PREFLIGHT)
    read_problem(answer, 405, "method_not_allowed")
    answer = await without_origins.get("/nowhere", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
