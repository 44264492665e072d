"""Sign-up, and the passwords that it takes."""

import json
from typing import Any
from uuid import UUID

import pytest
from argon2 import Type, extract_parameters
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import Secret
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.parts import create_hasher
from app.settings import Settings
from app.users.models import User
from tests.auth.accounts import AUTH, LONG, log_in
from tests.factories import (
    HASHER,
    PASSWORD,
    make_account,
    make_user,
)
from tests.problems import read_problem

SIGN_UP = make_account()


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
