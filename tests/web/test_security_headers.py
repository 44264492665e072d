"""The headers of every answer, on every route: what browsers are told to refuse."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import URL

from app.auth.dependencies import limit_mail_tokens
from app.auth.rate_limit import RateLimits
from app.database.transactions import Database
from app.main import MAX_BODY_SIZE, create_app
from app.settings import Settings
from app.web.session import get_session
from tests.auth.test_authorization import BODIES, DECISIONS, ROUTES, make_body
from tests.conftest import new_client
from tests.factories import HASHER
from tests.problems import read_problem

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
FORMS = {route for route, body in BODIES.items() if "data" in body and "/api/" not in route}


def production_settings(**settings: Any) -> Settings:
    """Return settings of production, with what is required there; nothing of it is reached."""
    required = {
        "environment": "production",
        "database_url": "postgresql://nowhere.example/app",
        "public_url": "https://app.example.com",
        "second_factor_keys": "a" * 43 + "=",
        "smtp_url": "smtp://nowhere.example",
        "mail_from": "no-reply@example.com",
    }
    return Settings(_env_file=None, **required | settings)


@pytest.fixture
def app() -> FastAPI:
    """The service in production, with the pages of its documentation."""
    app = create_app(production_settings(docs_enabled=True))
    absent = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="app")
    app.state.database = Database(absent, pool_size=1)
    app.state.hasher = HASHER
    app.dependency_overrides[limit_mail_tokens] = lambda: None
    app.state.limits = RateLimits(app.state.database)
    return app


def fill_in(path: str) -> str:
    return re.sub(r"\{\w+\}", "0" * 32, path)


async def fail() -> None:
    raise AssertionError


def refused(route: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Give requests that the route refuses, each with the status and code of the answer."""
    if route not in BODIES:
        return
    is_form = "data" in BODIES[route]
    media_type = "application/x-www-form-urlencoded" if is_form else "application/json"
    headers = {"Content-Type": media_type}
    large = b" " * (MAX_BODY_SIZE + 1)
    yield 413, "content_too_large", {"content": large, "headers": headers}
    if DECISIONS[route][0] != 401:  # else that comes first
        yield 415, "unsupported_media_type", {"content": b"{}"}
    yield 422, "unprocessable_content", {"content": b"{", "headers": headers}


def check(answer: Response) -> None:
    found = {name: answer.headers.get_list(name) for name in HEADERS}
    assert found == {name: [value] for name, value in HEADERS.items()}
    assert "server" not in answer.headers


# The pages show what they refuse: tests/auth/test_page_refusals.py looks at it.
@pytest.mark.parametrize("route", [route for route in ROUTES if route not in FORMS])
async def test_asvs_3_4_4_headers_are_on_every_refusal(client: AsyncClient, route: str) -> None:
    method, path = route.split()
    path = fill_in(path)
    requests = [
        *refused(route),
        (404, "not_found", {"url": f"{path}/nowhere/at/all"}),
        (405, "method_not_allowed", {"method": "REPORT"}),
    ]
    for status, code, request in requests:
        answer = await client.request(**{"method": method, "url": path} | request)
        read_problem(answer, status, code)
        check(answer)
        assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("route", [route for route in ROUTES if "/api/" in route])
async def test_asvs_3_4_5_headers_are_on_a_fault(
    app: FastAPI, client: AsyncClient, route: str
) -> None:
    app.dependency_overrides[get_session] = fail
    method, path = route.split()
    answer = await client.request(method, fill_in(path), **make_body(route, {}))
    read_problem(answer, 500, "internal_server_error")
    check(answer)


async def test_asvs_3_4_6_headers_are_on_a_success(client: AsyncClient) -> None:
    for path in ("/healthz", "/openapi.json"):
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        check(answer)


async def test_asvs_3_4_1_development_is_not_bound_to_https() -> None:
    app = create_app(Settings(_env_file=None))
    async with new_client(app) as client:
        answer = await client.get("/nowhere")
    assert "strict-transport-security" not in answer.headers


async def test_page_of_the_documentation_has_a_policy_of_its_own(client: AsyncClient) -> None:
    answer = await client.get("/docs")
    policy = answer.headers.pop("content-security-policy")
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS | {
        "content-security-policy": None
    }
    scripts = re.search("script-src ([^;]+)", policy)
    assert scripts is not None
    assert re.fullmatch("'self'( 'sha256-[^ ]+')?", scripts[1].strip())
    assert ("'sha256-" in policy) == ("<script>" in answer.text)
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    addresses = re.findall(r'(?:src|href)="([^"]+)', answer.text)
    assert len(addresses) >= 2
    for address in addresses:
        file = await client.get(address)
        assert (file.status_code, file.headers["cache-control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )


async def test_asvs_13_4_5_documentation_is_off_in_production() -> None:
    app = create_app(production_settings())
    async with new_client(app) as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/metrics", "/docs/oauth2-redirect"):
            read_problem(await client.get(path), 404, "not_found")
