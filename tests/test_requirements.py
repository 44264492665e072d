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
from tests.factories import PASSWORD, make_account, make_token, make_user, reload_user, sign_in
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
    "deletion_due_at": "2026-01-01T00:00:00Z",
    "created_at": "2026-01-01T00:00:00Z",
}
OWN = {
    "POST /api/v1/users": {"is_superuser", "is_active"},
    "PATCH /api/v1/users/{user_id}": {"is_superuser", "is_active"},
}
SECRET = re.compile("password|passwd|secret|token|hash|credential|(api|private)_?key")
PERSONAL = re.compile(SECRET.pattern + "|mail|phone|birth|iban|passport|social_security")
INJECTIONS = [
    "'; DROP TABLE marble; --",
    "' OR '1'='1",
    '" OR ""="',
    "\\'; SELECT pg_sleep(9); --",
    "%(password)s :password $1 %s ?",
    "<script>alert(1)</script>",
    "{{ config }} ${jndi} <%= system %>",
    "*)(uid=*))(|(uid=*",
    "../../etc/passwd",
    "$(id) `id` | id",
    "=HYPERLINK('https://evil.example')",
]


def find_fields(part: Any) -> Iterator[tuple[str, Any]]:
    """Return the properties of a schema, at any depth."""
    if isinstance(part, dict):
        if reference := part.get("$ref"):
            yield from find_fields(SCHEMAS[reference.rpartition("/")[2]])
        yield from part.get("properties", {}).items()
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from find_fields(inner)


def takes_json(route: str) -> bool:
    return route in DECISIONS and "json" in BODIES.get(route, {})


def find_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {})
            yield f"{method.upper()} {path}", dict(find_fields(body))


def add_field(body: Any, field: str) -> Any:
    """Add it to a body, or to each that the body is a list of."""
    if isinstance(body, list):
        return [add_field(each, field) for each in body]
    return body | {field: FOREIGN[field]} if isinstance(body, dict) else body


async def dump(session: AsyncSession) -> list[object]:
    """Return what a body could change; not that a session was used."""
    connection = await session.connection()
    tables = load_models().tables.values()
    changed = [table for table in tables if table.name not in {"login_session", "rate_limit"}]
    return [(await connection.execute(table.select())).all() for table in changed]


@pytest.mark.parametrize("route", [each for each, _ in find_bodies() if takes_json(each)])
async def test_asvs_8_2_3_no_body_sets_what_is_not_the_clients(
    cast: Cast, session: AsyncSession, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    caller = next(
        name for name, status in zip(CALLERS, DECISIONS[route], strict=True) if status < 300
    )
    before = await dump(session)
    own = OWN.get(route, set()) | {"id"} & dict(find_bodies())[route].keys()  # to repeat it safely
    for field in FOREIGN.keys() - own:
        body = add_field(BODIES[route]["json"], field)
        monkeypatch.setitem(BODIES, route, {"json": body})
        answer = await cast.call(route, caller)
        assert not answer.is_success, (
            f'took {field}; if clients may say it, add `"{route}": {{"{field}"}}` to OWN in'
            " tests/test_requirements.py"
        )
        problem = read_problem(answer, 422, "unprocessable_content")
        assert [(error["loc"][-1], error["type"]) for error in problem["errors"]] == [
            (field, "extra_forbidden")
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
    assert secrets.keys() >= {"database_url", "second_factor_keys", "smtp_url"}
    assert {*secrets.values()} == {None}


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


def test_asvs_6_3_4_every_way_in_is_known() -> None:
    ways = {
        path.removeprefix(f"{API}/auth/")
        for path, operations in DOCUMENT["paths"].items()
        for operation in operations.values()
        if "TokenPublic" in str(operation["responses"])
    }
    second_step = "login/second-factor"
    assert {"login"} <= ways <= {"login", second_step, "login/passkey", f"{second_step}/passkey"}


def test_asvs_6_6_1_no_factor_is_sent_anywhere() -> None:
    gate = create_app(Settings(_env_file=None)).state.gate
    factors = getattr(gate, "factors", ())
    assert {factor.name for factor in factors} <= {"totp", "passkey"}


def test_asvs_6_4_6_no_administrator_can_set_a_password() -> None:
    bodies = {
        route: {*fields}
        for route, fields in find_bodies()
        if fields and route in DECISIONS and DECISIONS[route][CALLERS.index("other")] == 403
    }
    assert bodies.keys() >= {"POST /api/v1/users", "PATCH /api/v1/users/{user_id}"}
    assert not [field for fields in bodies.values() for field in fields if SECRET.search(field)]


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


def test_asvs_14_2_1_urls_hold_nothing_personal_or_secret() -> None:
    parameters = [
        (parameter["name"], str(parameter["schema"]))
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] in {"path", "query"}
    ]
    assert {"user_id", "cursor", "limit", "search"} <= {name for name, _ in parameters}
    wrong = [each for each in parameters if PERSONAL.search(each[0]) or "'email'" in each[1]]
    assert not wrong, f"ask for it in a body, since addresses are logged and kept: {wrong}"


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
        answer = await client.post(f"{API}/auth/signup", json=make_account(email))
        read_problem(answer, 422, "unprocessable_content")
        answer = await client.post(f"{API}/auth/password-reset", json={"email": email})
        assert answer.status_code == (202 if injection.isprintable() else 422)
    resets = select(Outbox.payload).where(Outbox.kind == PASSWORD_RESET)
    assert all(payload == {"email": None} for payload in await session.exec(resets))
    assert len(list(await session.exec(select(col(User.id))))) == 1
