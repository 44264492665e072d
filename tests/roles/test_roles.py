"""Roles as administrators make, change, give and delete them, none above their own."""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.roles.models import Role, RolePermission, UserRole
from app.users.models import User
from tests.conftest import new_client
from tests.factories import make_superuser, make_user, move_login_back, sign_in
from tests.problems import read_problem
from tests.roles.factories import give_role, new_holder

API = "/api/v1"
ROLES = f"{API}/roles"


async def create(client: AsyncClient, name: str, permissions: Collection[str]) -> dict[str, Any]:
    answer = await client.post(ROLES, json={"name": name, "permissions": [*permissions]})
    assert answer.status_code == 201, answer.text
    role: dict[str, Any] = answer.json()
    return role


async def test_administrator_makes_changes_and_lists_roles(superuser_client: AsyncClient) -> None:
    support = await create(superuser_client, "Support", ["users:read", "roles:read"])
    assert support["permissions"] == ["roles:read", "users:read"]
    auditor = await create(superuser_client, "Auditor", [])
    path = f"{ROLES}/{support['id']}"
    changed = await superuser_client.patch(
        path, json={"name": "Helpdesk", "permissions": ["users:read", "users:write"]}
    )
    assert changed.json() == support | {
        "name": "Helpdesk",
        "permissions": ["users:read", "users:write"],
    }
    assert (await superuser_client.patch(path, json={})).json() == changed.json()
    assert (await superuser_client.get(path)).json() == changed.json()
    page = (await superuser_client.get(ROLES, params={"limit": 1})).json()
    rest = await superuser_client.get(ROLES, params={"cursor": page["next_cursor"]})
    found = page["data"] + rest.json()["data"]
    assert sorted(found, key=str) == sorted([changed.json(), auditor], key=str)
    for answer in (
        await superuser_client.post(ROLES, json={"name": "Auditor", "permissions": []}),
        await superuser_client.patch(path, json={"name": "Auditor"}),
    ):
        read_problem(answer, 409, "role_name_taken")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "permissions": ["users:read", "users:red"]},
        {"name": "x", "permissions": "users:read"},
        {"name": "x", "permissions": [""]},
        {"name": "x", "permissions": ["users:read\0"]},
        {"name": "x", "permissions": [f"a{number}" for number in range(101)]},
        {"name": "x"},
        {"name": "", "permissions": []},
        {"name": "x" * 101, "permissions": []},
        {"name": "a\nb", "permissions": []},
        {"name": "x", "permissions": [], "id": str(uuid4())},
    ],
)
async def test_wrong_role_is_refused(
    superuser_client: AsyncClient, session: AsyncSession, body: dict[str, Any]
) -> None:
    read_problem(await superuser_client.post(ROLES, json=body), 422, "unprocessable_content")
    assert list(await session.exec(select(Role.id))) == []


async def test_user_gets_a_role_once_and_loses_it(
    superuser_client: AsyncClient, user: User
) -> None:
    role = await create(superuser_client, "Support", ["users:read"])
    theirs = f"{API}/users/{user.id}/roles"
    for _ in range(2):
        assert (await superuser_client.put(f"{theirs}/{role['id']}")).status_code == 204
    assert (await superuser_client.get(theirs)).json() == [role]
    assert (await superuser_client.delete(f"{theirs}/{role['id']}")).status_code == 204
    gone = await superuser_client.delete(f"{theirs}/{role['id']}")
    read_problem(gone, 404, "role_not_assigned")
    assert (await superuser_client.get(theirs)).json() == []
    nobody, nothing = f"{API}/users/{uuid4()}/roles", uuid4()
    read_problem(await superuser_client.get(nobody), 404, "user_not_found")
    read_problem(await superuser_client.put(f"{nobody}/{role['id']}"), 404, "user_not_found")
    for answer in (
        await superuser_client.put(f"{theirs}/{nothing}"),
        await superuser_client.delete(f"{theirs}/{nothing}"),
        await superuser_client.get(f"{ROLES}/{nothing}"),
        await superuser_client.patch(f"{ROLES}/{nothing}", json={"name": "x"}),
        await superuser_client.delete(f"{ROLES}/{nothing}"),
    ):
        read_problem(answer, 404, "role_not_found")


async def test_role_that_is_deleted_while_in_use_is_nobodys(
    app: FastAPI, superuser_client: AsyncClient, session: AsyncSession
) -> None:
    holder = await new_holder(app, session, "users:read")
    (role_id,) = await session.exec(select(Role.id))
    assert (await holder.get(f"{API}/users")).status_code == 200
    assert (await superuser_client.delete(f"{ROLES}/{role_id}")).status_code == 204
    read_problem(await holder.get(f"{API}/users"), 403, "permission_required")
    for model in (Role, RolePermission, UserRole):
        assert list(await session.exec(select(model))) == []


async def test_roles_above_ones_own_are_out_of_reach(app: FastAPI, session: AsyncSession) -> None:
    holder = await new_holder(app, session, "roles:read", "roles:write", "users:read")
    me = (await holder.get(f"{API}/users/me")).json()["id"]
    above = await give_role(session, await make_user(session), "users:read", "users:write")
    own = await create(holder, "Mine", ["users:read"])
    more = {"permissions": ["users:read", "users:write"]}
    for answer in (
        await holder.post(ROLES, json={"name": "More"} | more),
        await holder.patch(f"{ROLES}/{own['id']}", json=more),
        await holder.patch(f"{ROLES}/{above.id}", json={"name": "x"}),
        await holder.patch(f"{ROLES}/{above.id}", json={"permissions": ["users:read"]}),
        await holder.delete(f"{ROLES}/{above.id}"),
        await holder.put(f"{API}/users/{me}/roles/{above.id}"),
        await holder.delete(f"{API}/users/{me}/roles/{above.id}"),
    ):
        read_problem(answer, 403, "own_permissions_exceeded")
    permissions = (await holder.get(f"{API}/users/me/permissions")).json()["permissions"]
    assert permissions == ["roles:read", "roles:write", "users:read"]
    assert (await holder.get(f"{ROLES}/{own['id']}")).json() == own
    assert (await holder.put(f"{API}/users/{me}/roles/{own['id']}")).status_code == 204
    assert (await holder.delete(f"{ROLES}/{own['id']}")).status_code == 204


async def test_change_of_roles_needs_a_recent_login(
    superuser_client: AsyncClient, session: AsyncSession, superuser: User
) -> None:
    role = await give_role(session, superuser)
    await move_login_back(session, superuser, authenticated_at="15 minutes")
    theirs = f"{API}/users/{superuser.id}/roles/{role.id}"
    for answer in (
        await superuser_client.post(ROLES, json={"name": "x", "permissions": []}),
        await superuser_client.patch(f"{ROLES}/{role.id}", json={"name": "x"}),
        await superuser_client.delete(f"{ROLES}/{role.id}"),
        await superuser_client.put(theirs),
        await superuser_client.delete(theirs),
    ):
        read_problem(answer, 403, "recent_login_required")


async def test_role_is_given_and_deleted_at_once(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    superuser = await make_superuser(live_session)
    users = [await make_user(live_session) for _ in range(8)]
    role = await give_role(live_session, superuser, "users:read")
    client = new_client(live_app)
    await sign_in(client, live_session, superuser)
    giving = [client.put(f"{API}/users/{user.id}/roles/{role.id}") for user in users]
    deleting = [client.delete(f"{ROLES}/{role.id}") for _ in range(2)]
    answers = await asyncio.gather(*giving[:4], *deleting, *giving[4:])
    statuses = [answer.status_code for answer in answers]
    assert {*statuses} <= {204, 404}
    assert sorted(statuses[4:6]) == [204, 404]
    assert list(await live_session.exec(select(UserRole))) == []
