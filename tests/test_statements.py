"""What the service asks of the database: how many statements a request takes, and their plans."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic import command
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks import data
from tests.conftest import RolledBackDatabase, alembic_config, new_client
from tests.factories import HASHER, make_item, make_user
from tests.test_authorization import CALLERS, DECISIONS, ROUTES, Cast, make_cast

# The first is that which finds out who is calling, where a route needs that.
STATEMENTS = {
    "GET /healthz": 0,
    "GET /readyz": 1,
    "GET /openapi.json": 0,
    "GET /docs": 0,
    "GET /docs/oauth2-redirect": 0,
    "GET /redoc": 0,
    "POST /api/v1/auth/signup": 1,
    "POST /api/v1/auth/login": 4,
    "POST /api/v1/auth/logout": 2,
    "GET /api/v1/auth/sessions": 2,
    "DELETE /api/v1/auth/sessions": 2,
    "DELETE /api/v1/auth/sessions/{session_id}": 2,
    "GET /api/v1/users/me": 1,
    "PATCH /api/v1/users/me": 2,
    "DELETE /api/v1/users/me": 3,
    "PUT /api/v1/users/me/password": 5,
    "GET /api/v1/users": 2,
    "POST /api/v1/users": 2,
    "GET /api/v1/users/{user_id}": 2,
    "PATCH /api/v1/users/{user_id}": 3,
    "DELETE /api/v1/users/{user_id}": 3,
    "DELETE /api/v1/users/{user_id}/sessions": 3,
    "GET /api/v1/items": 2,
    "POST /api/v1/items": 2,
    "GET /api/v1/items/{item_id}": 2,
    "PATCH /api/v1/items/{item_id}": 3,
    "DELETE /api/v1/items/{item_id}": 3,
}
# Pages after the first, and a search among one's own, are other statements.
QUERIES = {
    "GET /api/v1/items": ("?limit=20", "?search=Title", "?cursor={cursor}"),
    "GET /api/v1/users": ("?limit=20", "?cursor={cursor}"),
}
ITEMS = 1_000_000
SMALL = 1000  # rows; PostgreSQL is right to read a smaller table from end to end

Statement = tuple[str, Any]


@contextmanager
def captured(connection: Connection) -> Iterator[list[Statement]]:
    """Collect what is sent with its parameters, but for the savepoints of the tests."""
    statements: list[Statement] = []

    def collect(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", collect)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", collect)


async def call(cast: Cast, session: AsyncSession, route: str, query: str = "") -> list[Statement]:
    """Call a route as the first who may; return its statements, and undo what they have done."""
    caller = next(
        caller
        for caller, status in zip(CALLERS, DECISIONS[route], strict=True)
        if 200 <= status < 300
    )
    connection = await session.connection()
    async with connection.begin_nested() as savepoint:
        assert connection.sync_connection is not None
        with captured(connection.sync_connection) as statements:
            answer = await cast.call(route + query, caller)
        await savepoint.rollback()
    assert answer.is_success, answer.text
    return statements


@pytest.mark.parametrize("route", ROUTES)
async def test_route_takes_no_more_statements_than_it_needs(
    cast: Cast, session: AsyncSession, route: str
) -> None:
    statements = await call(cast, session, route)
    assert len(statements) == STATEMENTS[route], statements
