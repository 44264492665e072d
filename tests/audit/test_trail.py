"""What is noted of requests, who may read it, and what is never in it."""

import json
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit.models import AuditEvent
from app.mail.service import PASSWORD_RESET
from app.users.models import User
from tests.conftest import new_client
from tests.factories import (
    PASSWORD,
    make_account,
    make_invitation,
    make_mail_token,
    make_token,
    make_user,
)
from tests.problems import read_problem
from tests.second_factors.factories import add_totp, give_code, give_password
from tests.statements import record_statements

API = "/api/v1"
OWN = f"{API}/users/me/events"
ALL = f"{API}/audit"
LOGIN = f"{API}/auth/login"


async def read(client: AsyncClient, path: str = ALL, **query: Any) -> list[dict[str, Any]]:
    """Return events, the oldest first."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["data"]))


async def count(session: AsyncSession) -> int:
    return len(list(await session.exec(select(AuditEvent.id))))


async def test_asvs_16_3_1_logins_and_guesses_are_noted(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    right = {"username": user.email, "password": PASSWORD}
    headers = {"X-Request-ID": "mine", "User-Agent": "Firefox\x7f/1"}
    await client.post(LOGIN, data=right, headers=headers)
    await client.post(LOGIN, data=right | {"password": "wrong"})
    await client.post(LOGIN, data=right | {"username": "nobody@example.com"})
    events = await read(superuser_client, kind="auth-log_in")
    ids = [(each["actor_id"], each["user_id"], each["outcome"]) for each in events]
    assert sorted(ids, key=str) == sorted(
        [
            (str(user.id), str(user.id), "done"),
            (None, str(user.id), "invalid_credentials"),
            (None, None, "invalid_credentials"),
        ],
        key=str,
    )
    (login,) = [each for each in events if each["outcome"] == "done"]
    assert (login["address"], login["user_agent"]) == ("127.0.0.1", "Firefox /1")
    assert (login["request_id"], login["details"]) == ("mine", {})


async def test_two_steps_of_a_login_are_noted(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await add_totp(session, user)
    challenge = (await give_password(client, user)).json()["challenge"]
    await give_code(client, challenge, "000000")
    events = await read(superuser_client, user_id=user.id)
    assert {(each["kind"], each["outcome"], each["actor_id"]) for each in events} == {
        ("auth-log_in", "second_factor_required", None),
        ("second factors-complete_login", "invalid_code", None),
    }


async def test_asvs_16_3_3_administration_is_noted(
    superuser_client: AsyncClient, superuser: User
) -> None:
    invitation = make_invitation("new@example.com")
    answer = await superuser_client.post(f"{API}/users", json=invitation)
    user_id = answer.json()["id"]
    await superuser_client.patch(f"{API}/users/{user_id}", json={"is_superuser": True})
    await superuser_client.delete(f"{API}/users/{user_id}")
    events = await read(superuser_client, actor_id=superuser.id)
    assert {(each["kind"], each["user_id"], json.dumps(each["details"])) for each in events} == {
        ("users-create_user", user_id, "{}"),
        ("users-update_user", user_id, '{"is_superuser": true}'),
        ("users-delete_user", user_id, "{}"),
    }
    assert {each["outcome"] for each in events} == {"done"}


async def test_password_set_by_a_link_is_noted_for_its_owner(
    client: AsyncClient, user_client: AsyncClient, user: User, session: AsyncSession
) -> None:
    token = await make_mail_token(session, user, PASSWORD_RESET)
    body = {"token": token, "new_password": f"new {PASSWORD}"}
    assert (await client.post(f"{API}/auth/password-reset/confirm", json=body)).is_success
    user_client.headers["Authorization"] = f"Bearer {await make_token(session, user)}"
    (event,) = await read(user_client, OWN)
    assert (event["kind"], event["by"]) == ("auth-reset_password", "unknown")


async def test_what_is_undone_is_not_noted(
    user_client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    taken = make_account(user.email)
    assert (await user_client.post(f"{API}/auth/signup", json=taken)).status_code == 409
    path = f"{API}/users/{uuid4()}"
    assert (await superuser_client.delete(path)).status_code == 404
    assert await count(session) == 0


async def test_reading_and_what_is_about_no_account_is_not_noted(
    app: FastAPI, user_client: AsyncClient, session: AsyncSession
) -> None:
    with record_statements() as statements:
        await user_client.get(f"{API}/users/me")
    assert len(statements) == 1
    await user_client.get(OWN)
    await user_client.post(f"{API}/auth/login/passkey/options")
    assert await count(session) == 0
    with record_statements() as statements:
        await user_client.patch(f"{API}/users/me", json={"full_name": "Ada"})
    assert "INSERT INTO audit_event" in statements[-1].sql
    app.state.witnesses = ()
    with record_statements() as fewer:
        await user_client.patch(f"{API}/users/me", json={"full_name": "Eve"})
    assert len(statements) == len(fewer) + 1


async def test_login_is_noted_by_one_statement_more(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await give_password(client, user)  # the first from here may take other statements
    with record_statements() as statements:
        assert (await give_password(client, user)).status_code == 200
    noted = [each.sql for each in statements if "audit_event" in each.sql]
    assert [sql.partition(" (")[0] for sql in noted] == ["INSERT INTO audit_event"]
    assert noted == [statements[-1].sql]
    app.state.witnesses = ()
    with record_statements() as fewer:
        assert (await give_password(client, user)).status_code == 200
    assert len(statements) == len(fewer) + 1


async def test_same_refusal_is_noted_once_a_minute(
    user_client: AsyncClient, superuser_client: AsyncClient, user: User
) -> None:
    for _ in range(3):
        read_problem(await user_client.get(f"{API}/users"), 403, "permission_required")
    read_problem(await user_client.delete(f"{API}/users/no-id"), 403, "permission_required")
    events = await read(superuser_client, actor_id=user.id)
    assert sorted((each["kind"], each["user_id"]) for each in events) == [
        ("users-delete_user", None),
        ("users-list_users", str(user.id)),
    ]


async def test_owner_sees_what_was_done_and_not_from_where_another_did_it(
    app: FastAPI, superuser_client: AsyncClient, session: AsyncSession, superuser: User
) -> None:
    user, other = await make_user(session), await make_user(session)
    async with new_client(app) as client:
        client.headers["Authorization"] = f"Bearer {await make_token(session, user)}"
        await client.patch(f"{API}/users/me", json={"full_name": "Ada"})
        await superuser_client.delete(f"{API}/users/{other.id}/sessions")
        await superuser_client.patch(f"{API}/users/{user.id}", json={"full_name": "Eve"})
        events = await read(client, OWN)
    assert sorted((each["kind"], each["by"], each["address"]) for each in events) == [
        ("users-update_me", "you", "127.0.0.1"),
        ("users-update_user", "another", None),
    ]
    assert str(superuser.id) not in json.dumps(events)


async def test_export_is_noted_and_has_what_was_noted(
    superuser_client: AsyncClient, user_client: AsyncClient, user: User
) -> None:
    await superuser_client.patch(f"{API}/users/{user.id}", json={"full_name": "Eve"})
    export = f"{API}/users/me/export"
    assert (await user_client.get(export)).is_success
    exported = (await user_client.get(export)).json()["audit_event"]
    assert sorted((each["kind"], each["by"], each["address"]) for each in exported) == [
        ("users-export_me", "you", "127.0.0.1"),
        ("users-update_user", "another", None),
    ]
    assert len(await read(superuser_client, kind="users-export_me")) == 2


async def test_filters_choose_and_pages_go_on(
    superuser_client: AsyncClient, user_client: AsyncClient, user: User
) -> None:
    for name in ("Ada", "Eve", "Joy"):
        await user_client.patch(f"{API}/users/me", json={"full_name": name})
    chosen = {"user_id": str(user.id), "kind": "users-update_me"}
    instant = (await read(superuser_client, **chosen))[0]["created_at"]
    assert len(await read(superuser_client, **chosen, since=instant)) == 3
    assert await read(superuser_client, **chosen, until=instant) == []
    assert await read(superuser_client, **chosen | {"kind": "users-update_you"}) == []
    assert await read(superuser_client, user_id=str(uuid4())) == []
    first = (await user_client.get(OWN, params={"limit": 2})).json()
    rest = await user_client.get(OWN, params={"limit": 2, "cursor": first["next_cursor"]})
    found = [each["id"] for each in first["data"] + rest.json()["data"]]
    assert len(set(found)) == 3
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=1767225600",
        "until=0001-01-01T00:00:00%2B14:00",
        "user_id=me",
        "actor_id=1",
        "kind=a%00b",
        f"kind={'k' * 101}",
        "kind=a&kind=b",
        "limit=101",
        "cursor=x",
        "search=a",
        "outcome=done",
    ],
)
async def test_filter_out_of_range_is_refused(superuser_client: AsyncClient, query: str) -> None:
    read_problem(await superuser_client.get(f"{ALL}?{query}"), 422, "unprocessable_content")


async def test_ends_of_the_calendar_are_no_fault(superuser_client: AsyncClient) -> None:
    ends = {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}
    assert await read(superuser_client, **ends) == []


CANARY = "canary-4711-password"


async def test_asvs_16_2_5_no_event_has_a_secret(
    client: AsyncClient, user_client: AsyncClient, user: User, session: AsyncSession
) -> None:
    link = await make_mail_token(session, user, PASSWORD_RESET)
    token = user_client.headers["Authorization"].removeprefix("Bearer ")
    old_hash = user.hashed_password
    account = make_account("new@example.com", password=CANARY, full_name="Ada")
    change = {"current_password": CANARY, "new_password": f"new {CANARY}"}
    me = f"{API}/users/me"
    await client.post(f"{API}/auth/signup", json=account)
    await client.post(LOGIN, data={"username": user.email, "password": CANARY})
    await client.post(LOGIN, data={"username": CANARY, "password": CANARY})
    await client.post(f"{LOGIN}/second-factor", json={"challenge": CANARY, "code": CANARY})
    await user_client.post(f"{me}/second-factors/totp")
    await user_client.post(f"{me}/second-factors/totp/confirm", json={"code": "123456"})
    await user_client.post(f"{me}/email", json={"new_email": f"{CANARY}@example.com"})
    await user_client.put(f"{me}/password", json=change)
    await user_client.put(f"{me}/password", json=change | {"current_password": PASSWORD})
    again = {"token": link, "new_password": f"newer {CANARY}"}
    await client.post(f"{API}/auth/password-reset/confirm", json=again)
    rows = [row.model_dump_json() for row in await session.exec(select(AuditEvent))]
    assert len(rows) >= 7
    await session.refresh(user)
    secrets = {CANARY, PASSWORD, link, token, old_hash, user.hashed_password, user.email}
    assert not [secret for secret in secrets if secret in "".join(rows)]
