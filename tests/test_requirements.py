"""What OWASP ASVS requires of the service as a whole, rather than of one module of it."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import SQLModel, col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.tables import load_models
from app.mail.models import Outbox
from app.mail.service import PASSWORD_RESET
from app.main import create_app
from app.settings import Settings
from app.users.models import User
from tests.auth.test_authorization import BODIES, CALLERS, DECISIONS, Cast, cast
from tests.factories import PASSWORD, make_token, make_user, reload_user, sign_in
from tests.marbles import make_marble
from tests.problems import read_problem

__all__ = ["cast"]  # a fixture

API = "/api/v1"
DOCUMENT = create_app(Settings(_env_file=None)).openapi()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
# What an attacker adds to a body in the hope that it is applied (mass assignment).
FOREIGN: dict[str, object] = {
    "id": str(UUID(int=0)),
    "owner_id": str(UUID(int=0)),
    "user_id": str(UUID(int=0)),
    "is_superuser": True,
    "is_active": False,
    "hashed_password": "!",
    "email_verified_at": "2026-01-01T00:00:00Z",
    "created_at": "2026-01-01T00:00:00Z",
}
OWN = {
    "POST /api/v1/users": {"is_superuser", "is_active"},
    "PATCH /api/v1/users/{user_id}": {"is_superuser", "is_active"},
}
INJECTIONS = [
    "'; DROP TABLE marble; --",
    "' OR '1'='1",
    '" OR ""="',
    "\\'; SELECT pg_sleep(9); --",
    "%(password)s :password $1 %s ?",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} ${7*7} <%= 7 * 7 %>",
    "*)(uid=*))(|(uid=*",
    "../../etc/passwd",
    "$(id) `id` | id",
    "=HYPERLINK('https://evil.example')",
]


def find_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                yield f"{method.upper()} {path}", SCHEMAS[name]["properties"]


async def dump(session: AsyncSession) -> list[object]:
    """Return what a body could change; not that a session was used."""
    connection = await session.connection()
    tables = load_models().tables.values()
    changed = [table for table in tables if table.name not in {"login_session", "rate_limit"}]
    return [(await connection.execute(table.select())).all() for table in changed]


@pytest.mark.parametrize("route", [route for route in BODIES if "json" in BODIES[route]])
async def test_asvs_8_2_3_no_body_sets_what_is_not_the_clients(
    cast: Cast, session: AsyncSession, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    caller = next(
        name for name, status in zip(CALLERS, DECISIONS[route], strict=True) if status < 300
    )
    before = await dump(session)
    for field in FOREIGN.keys() - OWN.get(route, set()):
        body = BODIES[route]["json"] | {field: FOREIGN[field]}
        monkeypatch.setitem(BODIES, route, {"json": body})
        problem = read_problem(await cast.call(route, caller), 422, "unprocessable_content")
        assert [(error["loc"], error["type"]) for error in problem["errors"]] == [
            (["body", field], "extra_forbidden")
        ]
        monkeypatch.undo()
    assert await dump(session) == before


async def test_asvs_6_3_2_new_database_has_no_account(session: AsyncSession) -> None:
    load_models()
    connection = await session.connection()
    for table in SQLModel.metadata.tables.values():
        assert (await connection.execute(table.select())).all() == [], table.name


def test_asvs_13_2_3_no_setting_has_a_secret_by_default() -> None:
    secrets = {
        name: field.default
        for name, field in Settings.model_fields.items()
        if "SecretStr" in repr(field) or re.search("secret|(?<!pass)key|token|password$", name)
    }
    assert secrets == dict.fromkeys(("database_url", "second_factor_keys", "smtp_url"))


def test_asvs_6_2_10_password_has_no_hint_and_no_end() -> None:
    load_models()
    names = {column.name for column in SQLModel.metadata.tables["user"].columns}
    names |= {name for schema in SCHEMAS.values() for name in schema.get("properties", ())}
    assert "hashed_password" in names
    assert not [each for each in names if re.search("hint|question|answer|password_.*_at", each)]


async def test_asvs_6_2_10_old_password_still_signs_in(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    ago = text("now() - interval '10 years'")
    await session.exec(update(User).values(created_at=ago, updated_at=ago))
    await session.commit()
    form = {"username": user.email, "password": PASSWORD}
    assert (await client.post(f"{API}/auth/login", data=form)).status_code == 200


def test_asvs_6_4_6_no_administrator_can_set_a_password() -> None:
    bodies = {
        route: {*fields}
        for route, fields in find_bodies()
        if DECISIONS[route][CALLERS.index("other")] == 403
    }
    assert bodies == {
        "POST /api/v1/users": {"email", "full_name", "is_active", "is_superuser"},
        "PATCH /api/v1/users/{user_id}": {"full_name", "is_active", "is_superuser"},
    }


async def test_rfc_6750_token_counts_in_the_header_only(
    client: AsyncClient, session: AsyncSession
) -> None:
    token = await make_token(session, await make_user(session))
    path = f"{API}/users/me?access_token={token}&token={token}&Authorization=Bearer%20{token}"
    answers = [
        await client.get(path),
        await client.get(f"{API}/users/me", headers={"Cookie": f"access_token={token}"}),
        await client.post(f"{API}/auth/logout", data={"access_token": token}),
    ]
    for answer in answers:
        read_problem(answer, 401, "not_authenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_asvs_14_2_1_urls_hold_ids_and_pages_only() -> None:
    parameters = {
        (parameter["in"], parameter["name"])
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
    }
    assert parameters == {
        *(("path", name) for name in ("item_id", "passkey_id", "session_id", "user_id")),
        *(("query", name) for name in ("cursor", "limit", "search")),
    }


@pytest.mark.usefixtures("_marbles")
@pytest.mark.parametrize("injection", INJECTIONS)
async def test_asvs_1_2_4_text_is_never_code(
    client: AsyncClient, superuser_client: AsyncClient, session: AsyncSession, injection: str
) -> None:
    user = await make_user(session, full_name="Ada")
    other = await make_marble(session, user, title="Other")
    await sign_in(client, session, user)
    answer = await client.patch(f"{API}/users/me", json={"full_name": injection})
    assert answer.json()["full_name"] == injection
    assert (await reload_user(session, user)).full_name == injection
    answer = await client.post(
        f"{API}/marbles", json={"title": injection, "description": injection}
    )
    assert answer.json()["title"] == answer.json()["description"] == injection
    for asking, path, id_ in (
        (client, "marbles", answer.json()["id"]),
        (superuser_client, "users", str(user.id)),
    ):
        found = await asking.get(f"{API}/{path}", params={"search": injection})
        assert [each["id"] for each in found.json()["data"]] == [id_]
        refused = await asking.get(f"{API}/{path}", params={"cursor": injection})
        read_problem(refused, 422, "unprocessable_content")
    await session.refresh(other)


@pytest.mark.parametrize("injection", [*INJECTIONS, "a\r\nBcc: eve", "a\nSubject: b"])
async def test_asvs_1_2_4_address_is_never_code(
    client: AsyncClient, session: AsyncSession, injection: str
) -> None:
    await make_user(session)
    for email in (injection, f"{injection}@example.com", f"ada@{injection}"):
        form = {"username": email, "password": PASSWORD}
        read_problem(await client.post(f"{API}/auth/login", data=form), 401, "invalid_credentials")
        answer = await client.post(
            f"{API}/auth/signup", json={"email": email, "password": PASSWORD}
        )
        read_problem(answer, 422, "unprocessable_content")
        answer = await client.post(f"{API}/auth/password-reset", json={"email": email})
        assert answer.status_code == (202 if injection.isprintable() else 422)
    resets = select(Outbox.payload).where(Outbox.kind == PASSWORD_RESET)
    assert all(payload == {"email": None} for payload in await session.exec(resets))
    assert len(list(await session.exec(select(col(User.id))))) == 1
