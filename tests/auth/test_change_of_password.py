"""Another password for an account, which its owner knows already."""

import json

import pytest
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.auth.accounts import LONG, ME, MY_PASSWORD, log_in
from tests.auth.test_sign_up import WEAK
from tests.factories import (
    PASSWORD,
    make_token,
    make_user,
    move_login_back,
    reload_user,
    sign_in,
)
from tests.problems import read_problem


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


UNPROCESSABLE = "unprocessable_content"


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
