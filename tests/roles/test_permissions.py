"""What each permission lets its holders do, and what looking it up costs."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.auth.test_authorization import CALLERS, DECISIONS, PERMISSIONS, make_cast
from tests.factories import make_invitation, make_user, sign_in
from tests.problems import read_problem
from tests.roles.factories import give_role, new_holder
from tests.statements import record_statements

API = "/api/v1"
USERS = f"{API}/users"
ALL = {*PERMISSIONS.values()}


async def test_asvs_8_2_1_permission_opens_its_routes_and_no_other(
    app: FastAPI, session: AsyncSession
) -> None:
    cast = await make_cast(app, session)
    for each in ALL:
        cast.clients[each] = await new_holder(app, session, each)
        cast.clients[f"not {each}"] = await new_holder(app, session, *ALL - {each})
    connection = await session.connection()
    for route, permission in PERMISSIONS.items():
        for holder, like in ((permission, "superuser"), (f"not {permission}", "other")):
            async with connection.begin_nested() as savepoint:
                answer = await cast.call(route, holder)
                await savepoint.rollback()
            expected = DECISIONS[route][CALLERS.index(like)]
            assert answer.status_code == expected, (route, holder, answer.text)


async def test_permission_costs_one_statement_where_it_is_asked_for(
    app: FastAPI, session: AsyncSession, superuser_client: AsyncClient
) -> None:
    holder = await new_holder(app, session, "users:read")
    counts = []
    for client, path in (
        (holder, f"{USERS}/me"),
        (holder, f"{API}/auth/sessions"),
        (holder, USERS),
        (superuser_client, USERS),
    ):
        with record_statements() as statements:
            assert (await client.get(path)).is_success
        counts.append(len(statements))
    assert counts == [1, 2, 3, 2]


async def test_permissions_of_all_roles_count_from_the_next_request_on(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await sign_in(client, session, user)
    own = f"{USERS}/me/permissions"
    assert (await client.get(own)).json() == {"permissions": []}
    read_problem(await client.get(USERS), 403, "permission_required")
    roles = [
        await give_role(session, user, *each)
        for each in (["users:read", "users:write"], ["roles:read", "users:read"], ["of:yesterday"])
    ]
    assert (await client.get(own)).json() == {
        "permissions": ["roles:read", "users:read", "users:write"]
    }
    path = f"{USERS}/{user.id}/roles/{roles[0].id}"
    assert (await superuser_client.delete(path)).status_code == 204
    assert (await client.get(USERS)).status_code == 200
    path = f"{API}/roles/{roles[1].id}"
    changed = await superuser_client.patch(path, json={"permissions": ["roles:read"]})
    assert changed.status_code == 200
    problem = read_problem(await client.get(USERS), 403, "permission_required")
    assert problem["permission"] == "users:read"
    everything = (await superuser_client.get(f"{API}/permissions")).json()
    assert everything == (await superuser_client.get(own)).json() == {"permissions": sorted(ALL)}


async def test_asvs_8_2_2_who_may_write_users_makes_no_superuser_and_touches_none(
    app: FastAPI, session: AsyncSession, superuser: User, user: User
) -> None:
    holder = await new_holder(app, session, *ALL)
    me = (await holder.get(f"{USERS}/me")).json()["id"]
    promotion = {"is_superuser": True}
    invitation = make_invitation("new@example.com")
    for answer in (
        await holder.post(USERS, json=invitation | promotion),
        await holder.patch(f"{USERS}/{me}", json=promotion),
        await holder.patch(f"{USERS}/{user.id}", json=promotion),
        await holder.patch(f"{USERS}/{superuser.id}", json={"is_active": False}),
        await holder.patch(f"{USERS}/{superuser.id}", json={"full_name": "Eve"}),
        await holder.delete(f"{USERS}/{superuser.id}"),
        await holder.delete(f"{USERS}/{superuser.id}/sessions"),
        await holder.post(f"{USERS}/{superuser.id}/password-reset"),
        await holder.post(f"{USERS}/{superuser.id}/second-factor-reset"),
    ):
        read_problem(answer, 403, "superuser_required")
    assert (await holder.post(USERS, json=invitation)).status_code == 201
    demotion = {"is_superuser": False, "is_active": False}
    assert (await holder.patch(f"{USERS}/{user.id}", json=demotion)).status_code == 200
