"""How many statements a request takes; tests/database/test_plans.py has what each of them costs."""

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import URL
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.purge import purge_expired
from app.database.transactions import Database
from app.database.url import libpq_uri
from app.mail import queue
from app.mail import service as mail
from tests.auth.test_authorization import ANSWERED, Cast, find_caller, make_cast
from tests.statements import Sent, find_clocks, find_double_writes, record_statements

# Who is calling, the row, and what is done with it: no route of a usual domain needs more.
USUAL = {"GET": 2, "POST": 2, "PATCH": 3, "PUT": 3, "DELETE": 3}
# The first is that which finds out who is calling, where a route needs that.
STATEMENTS = {
    "GET /healthz": 0,
    "GET /readyz": 2,
    "GET /openapi.json": 0,
    "GET /docs": 0,
    "GET /docs/oauth2-redirect": 0,
    "GET /set-password": 0,
    "POST /set-password": 11,
    "GET /confirm-email": 0,
    "POST /confirm-email": 10,
    "GET /forgot-password": 0,
    "POST /forgot-password": 3,
    "POST /api/v1/auth/signup": 4,
    "POST /api/v1/auth/login": 9,
    "POST /api/v1/auth/login/second-factor": 14,
    "GET /api/v1/users/me/second-factors": 3,
    "POST /api/v1/users/me/second-factors/totp": 2,
    "POST /api/v1/users/me/second-factors/totp/confirm": 15,
    "DELETE /api/v1/users/me/second-factors/totp": 10,
    "POST /api/v1/users/me/second-factors/recovery-codes": 7,
    "POST /api/v1/users/{user_id}/second-factor-reset": 7,
    "POST /api/v1/auth/second-factor-reset/confirm": 15,
    "GET /reset-second-factors": 0,
    "POST /reset-second-factors": 15,
    "POST /api/v1/auth/login/passkey/options": 2,
    "POST /api/v1/auth/login/passkey": 11,
    "POST /api/v1/auth/login/second-factor/passkey/options": 3,
    "POST /api/v1/auth/login/second-factor/passkey": 15,
    "GET /api/v1/users/me/passkeys": 2,
    "POST /api/v1/users/me/passkeys/options": 3,
    "POST /api/v1/users/me/passkeys": 13,
    "PATCH /api/v1/users/me/passkeys/{passkey_id}": 3,
    "DELETE /api/v1/users/me/passkeys/{passkey_id}": 10,
    "POST /api/v1/auth/logout": 2,
    "GET /api/v1/auth/sessions": 2,
    "DELETE /api/v1/auth/sessions": 4,
    "DELETE /api/v1/auth/sessions/{session_id}": 4,
    "POST /api/v1/auth/password-reset": 3,
    "POST /api/v1/auth/password-reset/confirm": 11,
    "POST /api/v1/auth/email-verification": 3,
    "POST /api/v1/auth/email-verification/confirm": 10,
    "GET /api/v1/users/me": 1,
    "PATCH /api/v1/users/me": 2,
    "DELETE /api/v1/users/me": 3,
    "PUT /api/v1/users/me/password": 11,
    "POST /api/v1/users/me/email": 7,
    "GET /api/v1/users": 2,
    "POST /api/v1/users": 3,
    "GET /api/v1/users/{user_id}": 2,
    "PATCH /api/v1/users/{user_id}": 3,
    "DELETE /api/v1/users/{user_id}": 3,
    "DELETE /api/v1/users/{user_id}/sessions": 5,
    "POST /api/v1/users/{user_id}/password-reset": 3,
    "GET /api/v1/users/me/permissions": 2,
    "GET /api/v1/permissions": 1,
    "GET /api/v1/roles": 3,
    "GET /api/v1/roles/{role_id}": 3,
    "PATCH /api/v1/roles/{role_id}": 4,
    "DELETE /api/v1/roles/{role_id}": 4,
    "GET /api/v1/users/{user_id}/roles": 4,
    "PUT /api/v1/users/{user_id}/roles/{role_id}": 4,
    "DELETE /api/v1/users/{user_id}/roles/{role_id}": 4,
}


@pytest.fixture
async def cast(app: FastAPI, session: AsyncSession) -> Cast:
    app.state.witnesses = ()  # what they add is in the tests of their features
    return await make_cast(app, session)


async def call(
    cast: Cast, session: AsyncSession, route: str, query: str = "", **objects: object
) -> list[Sent]:
    """Call a route as the first who may; return its statements, and undo what they have done."""
    caller = find_caller(route)
    connection = await session.connection()
    async with connection.begin_nested() as savepoint:
        with record_statements() as statements:
            answer = await cast.call(route, caller, query, **objects)
        await savepoint.rollback()
    assert answer.is_success, answer.text
    return statements


@pytest.mark.parametrize("route", ANSWERED)
async def test_route_takes_no_more_statements_than_it_needs(
    cast: Cast, session: AsyncSession, route: str
) -> None:
    statements = await call(cast, session, route)
    assert find_clocks(statements) == find_double_writes(statements) == []
    usual = USUAL[route.split(maxsplit=1)[0]]
    if route in STATEMENTS:
        assert len(statements) == STATEMENTS[route], statements
    else:
        assert len(statements) <= usual, (
            f'sent {len(statements)}, not {usual} at most; if it needs them, add `"{route}":'
            f" {len(statements)},` to STATEMENTS in tests/database/test_statements.py: {statements}"
        )


async def test_purge_and_worker_read_no_clock_where_a_distributed_engine_has_none(
    database: Database, session: AsyncSession
) -> None:
    await mail.enqueue(session, "email_changed", email="ada@example.com")
    await session.commit()
    with record_statements() as statements:
        await purge_expired(database)
        claimed = await queue.claim(session, was_tried=False, served=[])
        assert claimed
        await queue.give_back(session, claimed, "late", gives_up=False)
        await queue.mark_sent(session, claimed)
    assert find_clocks(statements) == find_double_writes(statements) == []


# A foreign key without an index of its own has each deletion of what it refers to read the table.
UNINDEXED = """
    SELECT conrelid::regclass, conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL
        AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
"""


def test_every_foreign_key_has_an_index(migrated_database: URL) -> None:
    with psycopg.connect(libpq_uri(migrated_database)) as connection:
        assert connection.execute(UNINDEXED).fetchall() == []
