"""What is noted of roles: who was given which, and with which permissions."""

from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.audit.test_trail import API, read
from tests.factories import sign_in
from tests.problems import read_problem
from tests.roles.factories import give_role


async def test_changes_of_roles_and_what_was_out_of_reach_are_noted(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    body = {"name": "Support", "permissions": ["users:read"]}
    role_id = (await superuser_client.post(f"{API}/roles", json=body)).json()["id"]
    theirs = f"{API}/users/{user.id}/roles/{role_id}"
    await superuser_client.put(theirs)
    await superuser_client.delete(theirs)
    await superuser_client.delete(f"{API}/roles/{role_id}")
    await sign_in(client, session, user)
    await give_role(session, user, "roles:write")
    read_problem(await client.post(f"{API}/roles", json=body), 403, "own_permissions_exceeded")
    named = {"role_id": role_id}
    events = await read(superuser_client)
    assert sorted((each["kind"], each["outcome"], each["details"]) for each in events) == [
        ("roles-assign_role", "done", named),
        ("roles-create_role", "done", named | {"permissions": ["users:read"]}),
        ("roles-create_role", "own_permissions_exceeded", {}),
        ("roles-delete_role", "done", named),
        ("roles-withdraw_role", "done", named),
    ]
    given = [each["user_id"] for each in events if each["kind"] == "roles-assign_role"]
    assert given == [str(user.id)]
