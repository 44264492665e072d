import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import Type, extract_parameters
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import Secret
from sqlalchemy import text
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.parts import create_hasher
from app.settings import Settings
from app.users.models import User
from tests.factories import (
    HASHER,
    PASSWORD,
    make_account,
    make_token,
    make_user,
    move_login_back,
    reload_user,
    sign_in,
)
from tests.problems import read_problem

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"
MY_PASSWORD = "/api/v1/users/me/password"
LONG = "Long is fine: " + "z" * 114
SIGN_UP = make_account()


async def log_in(client: AsyncClient, username: str, password: str = PASSWORD) -> Response:
    form = {"username": username, "password": password}
    return await client.post(f"{AUTH}/login", data=form)


async def count_users(session: AsyncSession) -> int:
    return (await session.exec(select(func.count()).select_from(User))).one()


async def test_sign_up_creates_an_ordinary_account(
    client: AsyncClient, session: AsyncSession
) -> None:
    response = await client.post(f"{AUTH}/signup", json=SIGN_UP | {"full_name": "Ada"})
    assert response.status_code == 201, response.text
    user = await session.get_one(User, UUID(response.json()["id"]))
    assert (user.email, user.full_name) == ("ada@example.com", "Ada")
    assert (user.is_active, user.is_superuser, user.email_verified_at) == (True, False, None)
    assert user.hashed_password.startswith("$argon2id$")
    assert "password" not in response.text


async def test_sign_up_knows_an_address_in_any_form(
    client: AsyncClient, session: AsyncSession
) -> None:
    await make_user(session, email="ada@bücher.example.com")
    for same in ("ADA@bücher.example.com", "ada@XN--BCHER-KVA.example.com"):
        answer = await client.post(f"{AUTH}/signup", json=SIGN_UP | {"email": same})
        read_problem(answer, 409, "email_taken")
    assert await count_users(session) == 1


@pytest.mark.parametrize(
    "password", ["fifteen letters", LONG, "pass 🔑 word with 文字", "  spaces  around  "]
)
async def test_asvs_6_2_5_sign_up_takes_any_password_that_is_long_and_unlikely(
    client: AsyncClient, password: str
) -> None:
    response = await client.post(f"{AUTH}/signup", json=SIGN_UP | {"password": password})
    assert response.status_code == 201, response.text
    assert (await log_in(client, SIGN_UP["email"], password)).status_code == 200
    answer = await log_in(client, SIGN_UP["email"], password[:-1] + "!")
    read_problem(answer, 401, "invalid_credentials")


@pytest.mark.parametrize(
    "body",
    [
        {"password": "x" * 14},
        {"password": LONG + "z"},
        {"password": ""},
        {"password": "a password with \0 in it"},
        {"password": "a password with \ud800 in it"},
        {"password": "a password with \n in it"},
        {"password": None},
        {"password": 123456789012345678},
        {"email": None},
        {"email": "ada"},
        {"email": "a" * 250 + "@example.com"},
        {"email": "ada@example.com\0"},
        {"email": "ada\ud800@example.com"},
        {"email": "ada@example.com\r\nBcc: eve@example.com"},
        {"full_name": "\0"},
        {"full_name": "\udfff"},
        {"full_name": "f" * 256},
        {"full_name": ["Ada"]},
        {"is_superuser": True},
        {"is_active": True},
        {"id": str(UUID(int=0))},
        {"hashed_password": "x"},
        {"\ud800": 1},
    ],
)
async def test_sign_up_refuses_an_invalid_account(
    client: AsyncClient, session: AsyncSession, body: dict[str, Any]
) -> None:
    content = json.dumps(SIGN_UP | {"full_name": "canary"} | body)
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"{AUTH}/signup", content=content, headers=headers)
    read_problem(answer, 422, "unprocessable_content")
    assert "canary" not in answer.text
    assert "password with" not in answer.text
    assert await count_users(session) == 0


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


async def test_log_in_keeps_the_twenty_sessions_used_last(
    client: AsyncClient, session: AsyncSession
) -> None:
    user, other = await make_user(session), await make_user(session)
    await make_token(session, other)
    for age in range(21):
        await make_token(session, user)
        newest = select(func.max(LoginSession.last_used_at)).scalar_subquery()
        await session.exec(
            update(LoginSession)
            .where(col(LoginSession.last_used_at) == newest, col(LoginSession.user_id) == user.id)
            .values(last_used_at=text(f"now() - interval '{age + 1} hours'"), address=str(age))
        )
    assert (await log_in(client, user.email)).status_code == 200
    mine = select(LoginSession.address).where(LoginSession.user_id == user.id)
    assert set(await session.exec(mine)) == {"127.0.0.1", *map(str, range(19))}
    theirs = select(LoginSession.address).where(LoginSession.user_id == other.id)
    assert len(list(await session.exec(theirs))) == 1


async def test_log_in_ends_no_session_that_is_in_use(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    # Used all the time, which is written every five minutes.
    await move_login_back(session, user, created_at="1 hour", last_used_at="4 minutes")
    for _ in range(25):
        await make_token(session, user)
    assert (await user_client.get(ME)).status_code == 200


async def test_log_in_never_ends_the_session_it_starts(
    client: AsyncClient, session: AsyncSession
) -> None:
    # As when its transaction is the first to start and the last to get the user's lock.
    user = await make_user(session)
    for _ in range(20):
        await make_token(session, user)
    await move_login_back(session, user, last_used_at="-1 second")
    token = (await log_in(client, user.email)).json()["access_token"]
    me = await client.get(ME, headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200, me.text
    assert len(list(await session.exec(select(LoginSession.id)))) == 20


async def test_log_in_drops_expired_sessions_first(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await make_token(session, user)
    await move_login_back(session, user, expires_at="31 days", last_used_at="-1 second")
    await session.exec(update(LoginSession).values(address="expired"))
    for _ in range(19):
        await make_token(session, user)
    assert (await log_in(client, user.email)).status_code == 200
    assert "expired" not in set(await session.exec(select(LoginSession.address)))


async def test_log_out_ends_this_session_only(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    response = await user_client.post(f"{AUTH}/logout")
    assert response.status_code == 204, response.text
    read_problem(await user_client.get(ME), 401, "invalid_token")
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    assert me.status_code == 200


async def test_list_sessions_returns_the_live_ones_used_last_first(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    for instants in ({"expires_at": "31 days"}, {"last_used_at": "7 days 1 second"}):
        await move_login_back(session, user, **instants)
    await make_token(session, await make_user(session))
    await make_token(session, user)
    await move_login_back(session, user, last_used_at="1 hour", created_at="1 hour")
    token = await make_token(session, user)
    user_client.headers["Authorization"] = f"Bearer {token}"
    response = await user_client.get(f"{AUTH}/sessions")
    assert response.status_code == 200, response.text
    first, second = response.json()
    assert (first["current"], second["current"]) == (True, False)
    assert first["last_used_at"] > second["last_used_at"]
    assert (first["address"], first["user_agent"]) == ("192.0.2.1", "tests")
    assert first.keys() == {
        *("id", "created_at", "last_used_at", "expires_at", "address", "user_agent", "current")
    }


async def test_end_other_sessions_keeps_this_one(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    theirs = await make_token(session, await make_user(session))
    response = await user_client.delete(f"{AUTH}/sessions")
    assert response.status_code == 204, response.text
    assert (await user_client.get(ME)).status_code == 200
    for token, status in ((other, 401), (theirs, 200)):
        me = await user_client.get(ME, headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == status


async def test_end_session_ends_that_device(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    devices = (await user_client.get(f"{AUTH}/sessions")).json()
    ended = next(device for device in devices if not device["current"])
    response = await user_client.delete(f"{AUTH}/sessions/{ended['id']}")
    assert response.status_code == 204, response.text
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    read_problem(me, 401, "invalid_token")
    assert (await user_client.get(ME)).status_code == 200


async def test_end_session_refuses_an_unknown_one(user_client: AsyncClient) -> None:
    answer = await user_client.delete(f"{AUTH}/sessions/{uuid4()}")
    read_problem(answer, 404, "session_not_found")


async def test_change_password_sets_it_and_ends_other_sessions(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    body = {"current_password": PASSWORD, "new_password": "another quite good one"}
    response = await user_client.put(MY_PASSWORD, json=body)
    assert response.status_code == 204, response.text
    assert (await user_client.get(ME)).status_code == 200
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    read_problem(me, 401, "invalid_token")
    read_problem(await log_in(user_client, user.email), 401, "invalid_credentials")
    response = await log_in(user_client, user.email, body["new_password"])
    assert response.status_code == 200


async def test_asvs_6_2_3_change_password_needs_the_current_one(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_token(session, user)
    hashed = user.hashed_password
    body = {"current_password": PASSWORD + "!", "new_password": "another quite good one"}
    read_problem(await user_client.put(MY_PASSWORD, json=body), 400, "incorrect_password")
    assert (await reload_user(session, user)).hashed_password == hashed
    me = await user_client.get(ME, headers={"Authorization": f"Bearer {other}"})
    assert me.status_code == 200


async def test_change_password_needs_a_recent_login(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    body = {"current_password": PASSWORD, "new_password": "another quite good one"}
    await move_login_back(session, user, authenticated_at="15 minutes 1 second")
    answer = await user_client.put(MY_PASSWORD, json=body)
    read_problem(answer, 403, "recent_login_required")
    await move_login_back(session, user, authenticated_at="-30 seconds")
    assert (await user_client.put(MY_PASSWORD, json=body)).status_code == 204


@pytest.mark.parametrize("new", ["p" * 14, LONG + "z", None, "\0" * 15, "\ud800" * 15])
async def test_change_password_refuses_an_invalid_one(
    session: AsyncSession, user_client: AsyncClient, user: User, new: str | None
) -> None:
    hashed = user.hashed_password
    body = json.dumps({"current_password": PASSWORD, "new_password": new})
    headers = {"Content-Type": "application/json"}
    answer = await user_client.put(MY_PASSWORD, content=body, headers=headers)
    read_problem(answer, 422, "unprocessable_content")
    assert (await reload_user(session, user)).hashed_password == hashed


@pytest.mark.parametrize(
    ("instants", "status"),
    [
        ({"last_used_at": "6 days 23 hours", "authenticated_at": "29 days"}, 200),
        ({"last_used_at": "7 days 1 second"}, 401),
        ({"expires_at": "29 days 23 hours"}, 200),
        ({"expires_at": "30 days 1 second"}, 401),
    ],
)
async def test_token_ends_when_idle_or_old(
    session: AsyncSession,
    user_client: AsyncClient,
    user: User,
    instants: dict[str, str],
    status: int,
) -> None:
    await move_login_back(session, user, **instants)
    assert (await user_client.get(ME)).status_code == status


@pytest.mark.parametrize(
    ("idle", "written"), [("4 minutes 59 seconds", False), ("6 minutes", True)]
)
async def test_token_use_is_written_every_five_minutes(
    session: AsyncSession,
    user_client: AsyncClient,
    user: User,
    idle: str,
    written: bool,  # noqa: FBT001
) -> None:
    await move_login_back(session, user, last_used_at=idle)
    before = (await session.exec(select(LoginSession.last_used_at))).one()
    assert (await user_client.get(ME)).status_code == 200
    after = (await session.exec(select(LoginSession.last_used_at))).one()
    assert (after > before) == written


async def test_asvs_6_2_8_password_is_the_same_however_its_letters_are_composed(
    client: AsyncClient,
) -> None:
    composed, decomposed = "Zoë and her fifteen cats", "Zoe\u0308 and her fifteen cats"
    body = make_account("zoe@example.com", password=decomposed)
    assert (await client.post(f"{AUTH}/signup", json=body)).status_code == 201
    form = {"username": "zoe@example.com", "password": composed}
    assert (await client.post(f"{AUTH}/login", data=form)).status_code == 200


async def test_password_is_measured_in_composed_letters(client: AsyncClient) -> None:
    body = make_account("zoe@example.com", password="e\u0301" * 8)
    problem = read_problem(await client.post(f"{AUTH}/signup", json=body), 422, UNPROCESSABLE)
    assert [error["type"] for error in problem["errors"]] == ["string_too_short"]


UNPROCESSABLE = "unprocessable_content"
GUESSABLE = "password_too_guessable"
OWN_WORDS = "password_from_own_words"
WEAK = [
    ("canary canary", "string_too_short"),
    ("passwordpassword", GUESSABLE),
    ("123456789012345", GUESSABLE),
    ("ada.canary@example.com", OWN_WORDS),
    ("countess canary", OWN_WORDS),
    ("Marble shop 1234", OWN_WORDS),
]


@pytest.mark.parametrize(("password", "reason"), WEAK)
async def test_asvs_6_2_4_sign_up_refuses_a_weak_password(
    client: AsyncClient, session: AsyncSession, password: str, reason: str
) -> None:
    account = make_account("ada.canary@example.com", full_name="Countess Canary", password=password)
    answer = await client.post(f"{AUTH}/signup", json=account)
    (error,) = read_problem(answer, 422, UNPROCESSABLE)["errors"]
    assert (error["loc"], error["type"]) == (["body", "password"], reason)
    assert error["msg"]
    assert "canary" not in answer.text
    assert await count_users(session) == 0


@pytest.mark.parametrize(("password", "reason"), WEAK)
async def test_asvs_6_2_11_change_password_refuses_a_weak_one(
    client: AsyncClient, session: AsyncSession, password: str, reason: str
) -> None:
    user = await make_user(session, email="ada.canary@example.com", full_name="Countess Canary")
    hashed = user.hashed_password
    await sign_in(client, session, user)
    body = {"current_password": PASSWORD, "new_password": password}
    answer = await client.put(MY_PASSWORD, json=body)
    (error,) = read_problem(answer, 422, UNPROCESSABLE)["errors"]
    assert (error["loc"], error["type"]) == (["body", "new_password"], reason)
    assert "canary" not in answer.text
    assert (await reload_user(session, user)).hashed_password == hashed


@pytest.mark.parametrize("password", ["a" * 129, "passwordpassword", "too short"])
async def test_asvs_6_2_9_a_refused_password_is_never_hashed(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setattr(HASHER, "_run", None)
    answer = await client.post(f"{AUTH}/signup", json=SIGN_UP | {"password": password})
    read_problem(answer, 422, UNPROCESSABLE)


async def test_password_min_length_is_a_setting(client: AsyncClient, app: FastAPI) -> None:
    app.state.hasher = create_hasher(Settings(_env_file=None, password_min_length=20))
    for password, status in (("kdjwhqpznvmxbtyrlfc", 422), ("kdjwhqpznvmxbtyrlfca", 201)):
        answer = await client.post(f"{AUTH}/signup", json=SIGN_UP | {"password": password})
        assert answer.status_code == status, answer.text


async def test_asvs_11_4_2_passwords_are_hashed_with_argon2id_as_owasp_has_it() -> None:
    hasher = create_hasher(Settings(_env_file=None))
    hashed = await hasher.hash_new(Secret(PASSWORD), field="password", about=())
    parameters = extract_parameters(hashed)
    assert (parameters.type, parameters.version) == (Type.ID, 19)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (47104, 1, 1)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
