"""Accounts that must have a second factor, and do nothing else until they have."""

from typing import Literal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.parts import create_gate
from app.settings import Settings
from app.users.models import User
from tests.problems import read_problem
from tests.second_factors.factories import (
    FACTORS,
    add_totp,
    give_code,
    give_password,
    make_code,
)

ME = "/api/v1/users/me"
LOGOUT = "/api/v1/auth/logout"


def require(app: FastAPI, of: Literal["nobody", "superusers", "everybody"]) -> None:
    app.state.gate = create_gate(Settings(_env_file=None, second_factor_required=of))


@pytest.mark.parametrize(
    ("of", "statuses"),
    [("nobody", (200, 200)), ("superusers", (200, 403)), ("everybody", (403, 403))],
)
async def test_who_must_have_a_second_factor_can_do_nothing_without(
    app: FastAPI,
    user_client: AsyncClient,
    superuser_client: AsyncClient,
    of: Literal["nobody", "superusers", "everybody"],
    statuses: tuple[int, int],
) -> None:
    require(app, of)
    for client, status in zip((user_client, superuser_client), statuses, strict=True):
        answer = await client.get(ME)
        assert answer.status_code == status
        if status == 403:
            read_problem(answer, 403, "enrolment_required")
        assert (await client.get(FACTORS)).json()["is_required"] == (status == 403)


async def test_asvs_6_3_3_superuser_sets_a_second_factor_up_first(
    app: FastAPI, client: AsyncClient, superuser: User
) -> None:
    require(app, "superusers")
    token = (await give_password(client, superuser)).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    read_problem(await client.get("/api/v1/users"), 403, "enrolment_required")
    read_problem(await client.delete(ME), 403, "enrolment_required")
    secret = (await client.post(f"{FACTORS}/totp")).json()["secret"]
    answer = await client.post(f"{FACTORS}/totp/confirm", json={"code": make_code(secret)})
    assert answer.status_code == 200
    assert (await client.get("/api/v1/users")).status_code == 200
    # Without it, the next request is refused again.
    assert (await client.delete(f"{FACTORS}/totp")).status_code == 204
    read_problem(await client.get("/api/v1/users"), 403, "enrolment_required")
    assert (await client.post(LOGOUT)).status_code == 204


async def test_login_with_a_second_factor_is_enough(
    app: FastAPI, client: AsyncClient, session: AsyncSession, superuser: User
) -> None:
    require(app, "everybody")
    secret = await add_totp(session, superuser)
    problem = read_problem(await give_password(client, superuser), 403, "second_factor_required")
    answer = await give_code(client, problem["challenge"], make_code(secret))
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    assert (await client.get("/api/v1/users")).status_code == 200
