"""One's own account."""

from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.users.models import User
from tests.factories import (
    make_superuser,
    make_user,
    move_login_back,
    reload_user,
    sign_in,
)
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

ME = "/api/v1/users/me"


async def test_get_me_returns_the_account(client: AsyncClient, session: AsyncSession) -> None:
    user = await make_user(session, email="ada@example.com", full_name="Ada")
    await sign_in(client, session, user)
    response = await client.get(ME)
    assert response.status_code == 200, response.text
    shown = {
        "id": str(user.id),
        "email": "ada@example.com",
        "full_name": "Ada",
        "is_active": True,
        "is_superuser": False,
        "email_verified_at": None,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": user.updated_at.isoformat().replace("+00:00", "Z"),
    }
    assert shown.items() <= response.json().items()


async def test_get_me_returns_an_imported_account_that_could_not_sign_up(
    session: AsyncSession, user_client: AsyncClient
) -> None:
    await session.exec(update(User).values(email="root@localhost", full_name="a\tb"))
    await session.commit()
    response = await user_client.get(ME)
    assert response.status_code == 200, response.text
    assert (response.json()["email"], response.json()["full_name"]) == ("root@localhost", "a\tb")


@pytest.mark.parametrize("full_name", ["Grace", None, "", "<b>' OR 1=1 --"])
async def test_update_me_changes_the_name(
    session: AsyncSession, user_client: AsyncClient, user: User, full_name: str | None
) -> None:
    response = await user_client.patch(ME, json={"full_name": full_name})
    assert response.status_code == 200, response.text
    assert response.json()["full_name"] == full_name
    assert (await reload_user(session, user)).full_name == full_name


async def test_update_me_changes_nothing_without_a_field(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    before = user.model_dump()
    response = await user_client.patch(ME, json={})
    assert response.status_code == 200, response.text
    assert (await reload_user(session, user)).model_dump() == before


@pytest.mark.parametrize(
    "field",
    [
        {"email": "eve@example.com"},
        {"id": str(UUID(int=0))},
        {"is_active": False},
        {"is_superuser": True},
        {"hashed_password": "x"},
        {"email_verified_at": "2026-01-01T00:00:00Z"},
        {"created_at": "2026-01-01T00:00:00Z"},
    ],
)
async def test_update_me_refuses_fields_that_are_not_its_own(
    session: AsyncSession, user_client: AsyncClient, user: User, field: dict[str, Any]
) -> None:
    before = user.model_dump()
    answer = await user_client.patch(ME, json={"full_name": "Eve"} | field)
    problem = read_problem(answer, 422, "unprocessable_content")
    assert [error["type"] for error in problem["errors"]] == ["extra_forbidden"]
    assert (await reload_user(session, user)).model_dump() == before


async def test_delete_me_deletes_the_account_and_all_it_has(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    other = await make_user(session)
    await make_marble(session, user)
    kept = await make_marble(session, other)
    response = await user_client.delete(ME)
    assert response.status_code == 204, response.text
    assert response.content == b""
    assert list(await session.exec(select(User.id))) == [other.id]
    assert list(await session.exec(select(Marble.id))) == [kept.id]
    assert list(await session.exec(select(LoginSession.id))) == []
    read_problem(await user_client.get(ME), 401, "invalid_token")


async def test_delete_me_needs_a_recent_login(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    await move_login_back(session, user, authenticated_at="15 minutes 1 second")
    read_problem(await user_client.delete(ME), 403, "recent_login_required")
    await reload_user(session, user)


async def test_delete_me_keeps_the_last_superuser(
    session: AsyncSession, superuser_client: AsyncClient
) -> None:
    await make_superuser(session, is_active=False)  # does not count
    read_problem(await superuser_client.delete(ME), 409, "last_superuser")
    await make_superuser(session)
    assert (await superuser_client.delete(ME)).status_code == 204
