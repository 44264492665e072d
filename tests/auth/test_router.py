from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from tests.auth.accounts import AUTH, ME, log_in
from tests.factories import (
    PASSWORD,
    make_user,
)
from tests.problems import read_problem


async def test_log_in_returns_a_token_that_works(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session, email="ada@example.com")
    response = await log_in(client, "ADA@Example.com")
    assert response.status_code == 200, response.text
    token = response.json()
    assert token.keys() == {"access_token", "token_type", "expires_at"}
    assert token["token_type"] == "bearer"
    lifetime = datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < lifetime < timedelta(days=30, hours=1)
    me = await client.get(ME, headers={"Authorization": f"bearer {token['access_token']}"})
    assert me.json()["id"] == str(user.id)


async def test_log_in_stores_only_the_hash_of_the_token(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    token = (await log_in(client, user.email)).json()["access_token"]
    assert len(token) == len("ust_") + 43
    stored = (await session.exec(select(LoginSession))).one()
    assert stored.token_hash == sha256(token.encode()).digest()


async def test_log_in_takes_the_form_that_swagger_sends(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    form = {"grant_type": "password", "scope": "", "client_id": "", "client_secret": ""}
    form |= {"username": user.email, "password": PASSWORD}
    assert (await client.post(f"{AUTH}/login", data=form)).status_code == 200


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ada@example.com", PASSWORD + "!"),
        ("ada@example.com", PASSWORD.upper()),
        ("eve@example.com", PASSWORD),
        ("invited@example.com", PASSWORD),
        ("invited@example.com", "!"),
        ("inactive@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
async def test_log_in_answers_alike_whatever_is_wrong(
    client: AsyncClient, session: AsyncSession, username: str, password: str
) -> None:
    await make_user(session, email="ada@example.com")
    await make_user(session, email="invited@example.com", hashed_password="!")
    await make_user(session, email="inactive@example.com", is_active=False)
    answer = await log_in(client, username, password)
    problem = read_problem(answer, 401, "invalid_credentials")
    assert problem["detail"] == "Wrong e-mail address or password."
    assert answer.headers["www-authenticate"] == "Bearer"
    assert list(await session.exec(select(LoginSession))) == []


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "ada@example.com"},
        {"username": "ada@example.com", "password": ""},
        {"username": "ada@example.com", "password": "\0"},
        {"username": "ada@example.com", "password": "p" * 1025},
        {"username": "a" * 1025, "password": "p"},
        {"username": "ada@example.com", "password": "p", "grant_type": "refresh_token"},
    ],
)
async def test_log_in_refuses_an_invalid_form(client: AsyncClient, form: dict[str, str]) -> None:
    answer = await client.post(f"{AUTH}/login", data=form)
    read_problem(answer, 422, "unprocessable_content")


@pytest.mark.parametrize(
    "content", [b"username=%ff&password=%ed%a0%80", b"username=\xff&password=\xff"]
)
async def test_log_in_refuses_text_that_is_not_unicode(client: AsyncClient, content: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post(f"{AUTH}/login", content=content, headers=headers)
    assert answer.status_code in {400, 401, 422}
    read_problem(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("user_agent", "kept"),
    [
        (b"curl/8", "curl/8"),
        (b"", None),
        (b"a" * 300, "a" * 255),
        (b"a\0b\r\nc\x85", "a b  c "),
        (b"\xff", "ÿ"),
    ],
)
async def test_log_in_records_the_device(
    client: AsyncClient, session: AsyncSession, user_agent: bytes, kept: str | None
) -> None:
    user = await make_user(session)
    form = {"username": user.email, "password": PASSWORD}
    headers = [(b"User-Agent", user_agent)]
    response = await client.post(f"{AUTH}/login", data=form, headers=headers)
    assert response.status_code == 200, response.text
    recorded = (await session.exec(select(LoginSession))).one()
    assert (recorded.user_agent, recorded.address) == (kept, "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "kept"),
    [("2001:DB8::1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1%eth0"), ("x" * 100, None)],
)
async def test_log_in_records_only_a_real_address(
    app: FastAPI, session: AsyncSession, host: str, kept: str | None
) -> None:
    user = await make_user(session)
    transport = ASGITransport(app, client=(host, 1))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await log_in(client, user.email)).status_code == 200
    assert (await session.exec(select(LoginSession.address))).one() == kept
