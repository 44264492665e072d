"""What an owner can take along: all that there is, and no secret."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import LargeBinary, String, Table, func, or_
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.export import FURTHER, find_keys, is_shown
from app.main import create_app
from app.settings import Settings
from app.users.models import User
from tests.auth.test_authorization import make_cast
from tests.factories import move_login_back
from tests.problems import read_problem
from tests.test_requirements import SECRET

EXPORT = "/api/v1/users/me/export"
create_app(Settings(_env_file=None))  # so that all models are there
TABLES = SQLModel.metadata.sorted_tables
OWNED = [table for table in TABLES if find_keys(table)]


def test_every_table_that_names_a_user_is_exported() -> None:
    naming = {
        table.name
        for table in TABLES
        if any(re.search("(user|owner|actor)_id$", each.name) for each in table.columns)
    }
    assert naming <= {table.name for table in OWNED} | FURTHER.keys()


def test_no_text_that_is_called_a_secret_is_exported() -> None:
    shown = [column for table in OWNED for column in table.columns if is_shown(column)]
    texts = [column for column in shown if isinstance(column.type, String)]
    called = [str(column) for column in texts if SECRET.search(column.name)]
    assert not called, f"mark them with NEVER_SHOWN in their models: {called}"


async def test_export_has_all_rows_of_the_caller_and_no_others(
    app: FastAPI, session: AsyncSession
) -> None:
    cast = await make_cast(app, session)
    answer = await cast.clients["owner"].get(EXPORT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    exported = answer.json()
    assert exported.keys() == {table.name for table in OWNED} | FURTHER.keys()
    owner = cast.objects["user_id"]
    (own,) = exported["user"]
    assert (own["id"], own["email"]) == (str(owner), "owner@example.com")
    connection = await session.connection()
    for table in OWNED:
        mine = or_(*(key == owner for key in find_keys(table)))
        count = await connection.scalar(select(func.count()).select_from(table).where(mine))
        rows = exported[table.name]
        assert len(rows) == count, table.name
        assert all(row.keys() == {*map(str, name_shown(table))} for row in rows)
    filled = {name for name, rows in exported.items() if rows}
    assert filled >= {"user", "login_session", "email_token"}


def name_shown(table: Table) -> Iterator[str]:
    return (column.name for column in table.columns if is_shown(column))


async def test_export_has_no_secret(app: FastAPI, session: AsyncSession) -> None:
    cast = await make_cast(app, session)
    text = (await cast.clients["owner"].get(EXPORT)).text
    given = {str(each) for name, each in cast.objects.items() if not name.endswith("_id")}
    token = cast.clients["owner"].headers["Authorization"].removeprefix("Bearer ")
    user = await session.get(User, cast.objects["user_id"])
    assert user
    secrets = {*given, token, user.hashed_password}
    connection = await session.connection()
    for column in (column for table in OWNED for column in table.columns):
        if isinstance(column.type, LargeBinary):
            for data in await connection.scalars(select(column)):
                secrets |= {*write(data)}
    assert len(secrets) > 20  # also where features are left out
    assert not [secret for secret in secrets if secret in text]


def write(data: bytes) -> Iterator[str]:
    """Write bytes in each form that they could take."""
    yield from (data.hex(), repr(data)[2:-1], str(list(data)))
    yield from (b64encode(data).decode(), urlsafe_b64encode(data).decode().rstrip("="))


async def test_export_needs_a_recent_login(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await move_login_back(session, user, authenticated_at="15 minutes")
    read_problem(await user_client.get(EXPORT), 403, "recent_login_required")


async def test_export_is_as_long_as_it_needs_to_be(
    user_client: AsyncClient, session: AsyncSession, user: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.auth.export._IN_MEMORY", 1000)
    monkeypatch.setattr("app.auth.export._CHUNK", 100)
    monkeypatch.setattr("app.auth.export._AT_ONCE", 2)
    connection = await session.connection()
    await connection.exec_driver_sql(
        "INSERT INTO login_session (id, user_id, token_hash, expires_at)"
        f" SELECT gen_random_uuid(), '{user.id}', n::text::bytea, now()"
        " FROM generate_series(1, 50) AS n"
    )
    assert len((await user_client.get(EXPORT)).json()["login_session"]) == 51
