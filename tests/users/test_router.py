from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.users.models import User
from app.users.service import NO_PASSWORD
from tests.factories import (
    earlier,
    make_invitation,
    make_superuser,
    make_token,
    make_user,
    move_login_back,
    reload_user,
    sign_in,
)
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

USERS = "/api/v1/users"
ME = "/api/v1/users/me"


async def test_update_user_gives_a_new_updated_at(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    await session.exec(update(User).values(updated_at=text("now() - interval '1 day'")))
    await session.commit()
    response = await user_client.patch(ME, json={"full_name": "Grace"})
    assert response.json()["updated_at"] == user.created_at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("POST ", make_invitation("eve@example.com", is_superuser=True)),
        ("PATCH /{other}", {"is_superuser": True}),
        ("DELETE /{other}", None),
        ("DELETE /{own}", None),
    ],
)
async def test_administration_needs_a_recent_login(
    session: AsyncSession,
    superuser_client: AsyncClient,
    superuser: User,
    route: str,
    body: dict[str, Any] | None,
) -> None:
    other = await make_superuser(session)
    method, _, path = route.format(other=other.id, own=superuser.id).partition(" ")
    path = USERS + path
    await move_login_back(session, superuser, authenticated_at="15 minutes 1 second")
    answer = await superuser_client.request(method, path, json=body)
    read_problem(answer, 403, "recent_login_required")
    await move_login_back(session, superuser, authenticated_at="-30 seconds")
    assert (await superuser_client.request(method, path, json=body)).is_success


async def test_list_users_returns_the_newest_first(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User
) -> None:
    older = await make_user(session)
    await session.exec(
        update(User)
        .where(col(User.id) == older.id)
        .values(created_at=earlier(User.created_at, "1 day"))
    )
    await session.commit()
    response = await superuser_client.get(USERS)
    assert response.status_code == 200, response.text
    assert [user["id"] for user in response.json()["data"]] == [str(superuser.id), str(older.id)]
    assert response.json()["next_cursor"] is None


@pytest.mark.parametrize("search", ["LOVELACE", "ada.l@", "love ada", "ada.l@example.com"])
async def test_list_users_searches_addresses_and_names(
    session: AsyncSession, superuser_client: AsyncClient, search: str
) -> None:
    ada = await make_user(session, email="ada.l@example.com", full_name="Ada Lovelace 100%_\\")
    await make_user(session, email="adail@example.com", full_name="100 percent")
    response = await superuser_client.get(USERS, params={"search": search})
    assert [user["id"] for user in response.json()["data"]] == [str(ada.id)]


async def test_pages_of_a_search_for_users_hold_all_that_are_found(
    session: AsyncSession, superuser_client: AsyncClient
) -> None:
    adas = {str((await make_user(session, full_name=f"Ada {n}")).id) for n in range(3)}
    first = (await superuser_client.get(USERS, params={"search": "ada", "limit": 2})).json()
    more = {"search": "ada", "limit": 2, "cursor": first["next_cursor"]}
    rest = (await superuser_client.get(USERS, params=more)).json()
    assert [len(page["data"]) for page in (first, rest)] == [2, 1]
    assert {user["id"] for user in [*first["data"], *rest["data"]]} == adas
    assert rest["next_cursor"] is None


async def test_address_that_somebody_has_finds_nobody_else(
    session: AsyncSession, superuser_client: AsyncClient
) -> None:
    ada = await make_user(session, email="ada@example.com")
    longer = await make_user(session, email="ada.l@example.com.example")
    for search, found in (("ADA@example.com ", ada), ("ada.l@example.com", longer)):
        response = await superuser_client.get(USERS, params={"search": search})
        assert [user["id"] for user in response.json()["data"]] == [str(found.id)]


async def test_create_user_adds_one_without_password(
    session: AsyncSession, superuser_client: AsyncClient
) -> None:
    body = make_invitation("Ada@Example.com", full_name="Ada", is_superuser=True)
    response = await superuser_client.post(USERS, json=body)
    assert response.status_code == 201, response.text
    user = await session.get_one(User, UUID(response.json()["id"]))
    assert (user.email, user.full_name, user.is_superuser) == ("ada@example.com", "Ada", True)
    assert user.hashed_password == NO_PASSWORD


async def test_create_user_refuses_a_taken_address(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User
) -> None:
    answer = await superuser_client.post(USERS, json=make_invitation(superuser.email.upper()))
    read_problem(answer, 409, "email_taken")
    assert (await session.exec(select(func.count()).select_from(User))).one() == 1


@pytest.mark.parametrize("field", ["password", "hashed_password", "id", "created_at"])
async def test_create_user_refuses_unknown_fields(
    session: AsyncSession, superuser_client: AsyncClient, field: str
) -> None:
    body = make_invitation(**{field: "x"})
    read_problem(await superuser_client.post(USERS, json=body), 422, "unprocessable_content")
    assert (await session.exec(select(func.count()).select_from(User))).one() == 1


async def test_get_user_returns_any_user(superuser_client: AsyncClient, user: User) -> None:
    response = await superuser_client.get(f"{USERS}/{user.id}")
    assert response.status_code == 200, response.text
    assert response.json()["email"] == user.email


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"is_active": False}),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("DELETE", "/sessions", None),
    ],
)
async def test_routes_of_a_user_refuse_an_unknown_one(
    superuser_client: AsyncClient, method: str, path: str, body: object
) -> None:
    answer = await superuser_client.request(method, f"{USERS}/{uuid4()}{path}", json=body)
    read_problem(answer, 404, "user_not_found")


async def test_update_user_changes_what_is_sent(
    session: AsyncSession, superuser_client: AsyncClient, user: User
) -> None:
    response = await superuser_client.patch(f"{USERS}/{user.id}", json={"is_superuser": True})
    assert response.status_code == 200, response.text
    assert response.json() == await _get(superuser_client, user)
    changed = await reload_user(session, user)
    assert (changed.is_superuser, changed.is_active, changed.full_name) == (
        *(True, True),
        user.full_name,
    )


async def _get(client: AsyncClient, user: User) -> Any:
    return (await client.get(f"{USERS}/{user.id}")).json()


async def test_update_user_demotes_at_once(
    session: AsyncSession, client: AsyncClient, superuser_client: AsyncClient
) -> None:
    demoted = await make_superuser(session)
    await sign_in(client, session, demoted)
    assert (await client.get(USERS)).status_code == 200
    await superuser_client.patch(f"{USERS}/{demoted.id}", json={"is_superuser": False})
    read_problem(await client.get(USERS), 403, "permission_required")


async def test_update_user_signs_a_deactivated_one_out_for_good(
    session: AsyncSession, user_client: AsyncClient, superuser_client: AsyncClient, user: User
) -> None:
    for is_active in (False, True):
        response = await superuser_client.patch(f"{USERS}/{user.id}", json={"is_active": is_active})
        assert response.status_code == 200, response.text
        read_problem(await user_client.get(ME), 401, "invalid_token")
    assert await make_token(session, user)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_superuser": False}])
async def test_update_user_keeps_the_last_superuser(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User, change: dict[str, bool]
) -> None:
    path = f"{USERS}/{superuser.id}"
    read_problem(await superuser_client.patch(path, json=change), 409, "last_superuser")
    await reload_user(session, superuser)
    assert (superuser.is_superuser, superuser.is_active) == (True, True)
    await make_superuser(session)
    assert (await superuser_client.patch(path, json=change)).status_code == 200


@pytest.mark.parametrize("field", ["is_active", "is_superuser"])
@pytest.mark.parametrize("value", [None, 0, "", "no", "false", [], 2**64])
async def test_update_user_takes_only_a_boolean(
    session: AsyncSession, superuser_client: AsyncClient, user: User, field: str, value: object
) -> None:
    before = user.model_dump()
    answer = await superuser_client.patch(f"{USERS}/{user.id}", json={field: value})
    problem = read_problem(answer, 422, "unprocessable_content")
    assert [error["loc"] for error in problem["errors"]] == [["body", field]]
    assert (await reload_user(session, user)).model_dump() == before


async def test_delete_user_deletes_the_user_and_all_it_has(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User, user: User
) -> None:
    await make_marble(session, user)
    await make_token(session, user)
    response = await superuser_client.delete(f"{USERS}/{user.id}")
    assert response.status_code == 204, response.text
    assert list(await session.exec(select(User.id))) == [superuser.id]
    assert list(await session.exec(select(Marble.id))) == []
    assert list(await session.exec(select(LoginSession.user_id))) == [superuser.id]


async def test_delete_user_keeps_the_last_superuser(
    superuser_client: AsyncClient, superuser: User
) -> None:
    answer = await superuser_client.delete(f"{USERS}/{superuser.id}")
    read_problem(answer, 409, "last_superuser")


async def test_superuser_who_was_only_invited_is_not_another(
    superuser_client: AsyncClient, session: AsyncSession, superuser: User
) -> None:
    body = make_invitation("mistyped@example.com", is_superuser=True)
    invited = (await superuser_client.post(USERS, json=body)).json()
    read_problem(await superuser_client.delete(ME), 409, "last_superuser")
    path = f"{USERS}/{superuser.id}"
    for change in ({"is_superuser": False}, {"is_active": False}):
        answer = await superuser_client.patch(path, json=change)
        read_problem(answer, 409, "last_superuser")
    assert (await superuser_client.delete(f"{USERS}/{invited['id']}")).status_code == 204
    await make_superuser(session)
    assert (await superuser_client.delete(ME)).status_code == 204


async def test_end_user_sessions_signs_the_user_out(
    session: AsyncSession, user_client: AsyncClient, superuser_client: AsyncClient, user: User
) -> None:
    await make_token(session, user)
    response = await superuser_client.delete(f"{USERS}/{user.id}/sessions")
    assert response.status_code == 204, response.text
    read_problem(await user_client.get(ME), 401, "invalid_token")
    mine = select(LoginSession).where(LoginSession.user_id == user.id)
    assert list(await session.exec(mine)) == []
    assert (await superuser_client.get(ME)).status_code == 200
