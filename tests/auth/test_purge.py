"""The moments of rows are set back in the database; its clock decides what has expired."""

import asyncio
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from sqlalchemy import CursorResult
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth import purge
from app.auth.purge import purge_expired
from app.database.transactions import Database
from app.users.models import User
from tests.factories import make_user

ID = "gen_random_uuid()"
HASH = "gen_random_uuid()::text::bytea"
USER = '"user".id'
AGO = "now() - interval '{age}'"
MAIL = {"id": ID, "kind": "'a'", "payload": "'{{}}'", "attempts": "1"}
LINK = {"token_hash": HASH, "user_id": USER, "purpose": f"{ID}::text::varchar(30)", "email": "'a'"}


class Kind(NamedTuple):
    """Rows of a table, with the greatest age that is kept, and one that is not."""

    table: str
    columns: dict[str, str]
    kept: str
    expired: str | None


KINDS = {
    "session": Kind(
        "login_session",
        {"id": ID, "user_id": USER, "token_hash": HASH, "expires_at": AGO},
        "-1 second",
        "1 second",
    ),
    "token": Kind("email_token", LINK | {"expires_at": AGO}, "-1 second", "1 second"),
    "sent": Kind("outbox", MAIL | {"sent_at": AGO}, "6 days 23 hours", "7 days 1 second"),
    "given_up": Kind(
        "outbox",
        MAIL | {"run_at": "now() + interval '99 years'", "created_at": AGO},
        "29 days 23 hours",
        "30 days 1 second",
    ),
    "waiting": Kind("outbox", MAIL | {"created_at": AGO, "run_at": AGO}, "1 year", None),
    "limit": Kind("rate_limit", {"key_hash": HASH, "arrival_at": AGO}, "-1 second", "1 second"),
    "device": Kind(
        "known_device",
        {"user_id": USER, "fingerprint": HASH, "last_used_at": AGO},
        "364 days",
        "366 days",
    ),
}


@pytest.fixture
async def user(session: AsyncSession) -> User:
    user = await make_user(session)
    await execute(session, "DELETE FROM outbox")
    await session.commit()
    return user


async def insert(session: AsyncSession, name: str, age: str) -> None:
    table, columns, _, _ = KINDS[name]
    values = ", ".join(columns.values()).format(age=age)
    source = ' FROM "user"' if "user_id" in columns else ""
    await execute(session, f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}{source}")
    await session.commit()


async def execute(session: AsyncSession, statement: str) -> CursorResult[Any]:
    return await (await session.connection()).exec_driver_sql(statement)


async def count(session: AsyncSession, name: str) -> object:
    return (await execute(session, f"SELECT count(*) FROM {KINDS[name].table}")).scalar_one()


@pytest.mark.parametrize("name", KINDS)
async def test_asvs_14_2_7_what_has_expired_is_deleted(
    session: AsyncSession, database: Database, user: User, name: str
) -> None:
    assert user.is_active
    await insert(session, name, KINDS[name].kept)
    if expired := KINDS[name].expired:
        await insert(session, name, expired)
    assert await purge_expired(database) == (1 if expired else 0)
    assert await count(session, name) == 1


async def test_purge_takes_as_many_steps_as_it_needs(
    session: AsyncSession, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    for _ in range(5):
        await insert(session, "limit", "1 day")
    assert await purge_expired(database) == 5
    assert await count(session, "limit") == 0


async def test_purge_is_left_to_the_process_that_is_at_it(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    database: Database = live_app.state.database
    await insert(live_session, "limit", "1 day")
    lock = purge._LOCK  # noqa: SLF001  # as another process has it
    await execute(live_session, f"SELECT pg_advisory_xact_lock({lock})")
    assert await purge_expired(database) == 0
    await live_session.rollback()
    deleted = await asyncio.gather(*(purge_expired(database) for _ in range(4)))
    assert sum(deleted) == 1


async def test_purge_waits_for_nobody(live_app: FastAPI, live_session: AsyncSession) -> None:
    await insert(live_session, "limit", "1 day")
    await insert(live_session, "limit", "1 day")
    await execute(live_session, "SELECT FROM rate_limit LIMIT 1 FOR UPDATE")
    assert await purge_expired(live_app.state.database) == 1
    await live_session.rollback()
    assert await purge_expired(live_app.state.database) == 1
