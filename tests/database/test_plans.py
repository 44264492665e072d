"""What the statements of each route cost on large tables: none reads more than it needs.

One test, so that of all the workers of a run one makes the rows.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from fastapi import FastAPI
from sqlalchemy import URL, literal
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.search import MOST_MATCHES
from app.database.url import libpq_uri
from app.roles.models import Role, UserRole
from app.roles.service import select_holders
from app.users.models import User
from app.users.schemas import UserQuery
from app.users.service import list_users
from app.web.pagination import Position
from tests.auth.test_authorization import ANSWERED, Cast, find_caller, make_cast
from tests.bulk import fill_tables
from tests.database.test_statements import call
from tests.databases import alembic_config
from tests.statements import Sent, record_statements

ROWS = 250  # that one step of a plan may read; the largest page has 100
SEARCHES = {"nobody": 0, "777": 111, "example": MOST_MATCHES, "example nobody": 0}
# Of a state that is rare, those are the last that pages come to.
STATES = ("deactivated", "unverified", "superuser")
RARE = """
    WITH oldest AS (SELECT id FROM "user" ORDER BY created_at LIMIT 10)
    UPDATE "user" SET is_active = id NOT IN (TABLE oldest),
        email_verified_at = CASE WHEN id NOT IN (TABLE oldest) THEN now() END
"""


@pytest.fixture(scope="module")
def migrated_database(create_database: Callable[[], URL]) -> URL:
    url = create_database()
    command.upgrade(alembic_config(url), "head")
    fill_tables(url, user=100_000)
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        connection.execute(RARE)
        connection.execute('VACUUM (ANALYZE, FREEZE) "user"')
    return url


def find_queries(app: FastAPI, route: str) -> Iterator[str]:
    """Yield queries whose statements are others: later pages, and searches."""
    method, path = route.split()
    operation = app.openapi()["paths"].get(path, {}).get(method.lower(), {})
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    yield ""
    yield from ("?limit=100" for _ in names & {"limit"})
    yield from ("?cursor={cursor}" for _ in names & {"cursor"})
    searched = "owner@example.com" if find_caller(route) == "superuser" else "a"
    yield from (f"?search={searched}" for _ in names & {"search"})


async def test_statements_read_few_rows_of_large_tables(
    app: FastAPI, session: AsyncSession
) -> None:
    cast = await make_cast(app, session)
    cursor = Position(datetime.now(UTC), uuid4()).encode()
    faults = {}
    for route in ANSWERED:
        for query in find_queries(app, route):
            statements = await call(cast, session, route, query, cursor=cursor)
            async for statement, step in explain(session, statements):
                if fault := find_fault(step):
                    faults[route + query] = (fault, statement)
    assert faults == {}
    assert await find_faults_of_states(cast, session, cursor) == {}
    assert await find_faults_of_roles(session) == []
    assert await find_faults_of_search(cast, session) == []
    for search, is_partial in (("777", False), ("example", True)):
        page = await cast.call("GET /api/v1/users", "superuser", f"?search={search}")
        assert page.json()["is_partial"] == is_partial


async def find_faults_of_states(cast: Cast, session: AsyncSession, cursor: str) -> dict[str, str]:
    """List the users of each state, whom nobody is like on the first pages."""
    faults = {}
    for state in STATES:
        for query in (
            f"?state={state}",
            f"?state={state}&cursor={cursor}",
            f"?state={state}&search=example",
        ):
            statements = await call(cast, session, "GET /api/v1/users", query)
            async for _, step in explain(session, statements):
                if fault := find_fault(step):
                    faults[query] = fault
    return faults


async def find_faults_of_roles(session: AsyncSession) -> list[str]:
    """List who has a role that is common, and one that few have."""
    common, *_, rare = await session.exec(select(Role.id).order_by(col(Role.created_at)))
    holders = select(User.id, literal(common)).limit(2 * MOST_MATCHES)
    given = insert(UserRole).from_select(["user_id", "role_id"], holders)
    await session.exec(given.on_conflict_do_nothing())
    await (await session.connection()).exec_driver_sql("ANALYZE user_role")
    faults = []
    for role_id, most in ((common, MOST_MATCHES), (rare, ROWS)):
        with record_statements() as statements:
            await list_users(session, UserQuery(), select_holders(role_id))
        async for _, step in explain(session, statements):
            if "Relation Name" in step and (read := count_read(step)) > most:
                faults.append(f"{step['Node Type']} reads {read} rows of {step['Relation Name']}")
    return faults


async def find_faults_of_search(cast: Cast, session: AsyncSession) -> list[str]:
    """Search many users: no more are read than match, and no more than the bound."""
    faults = []
    for search, most in SEARCHES.items():
        *_, listing = await call(cast, session, "GET /api/v1/users", f"?search={search}")
        async for _, step in explain(session, [listing]):
            if step.get("Relation Name") == "user" and (read := count_read(step)) > most:
                faults.append(f"{search}: {step['Node Type']} reads {read} users")
    query = "?search=99999Email@example.com"
    _, *statements = await call(cast, session, "GET /api/v1/users", query)
    indexes = [step.get("Index Name") async for _, step in explain(session, statements)]
    return faults if indexes == ["ix_user_email"] else [*faults, f"an address: {indexes}"]


async def explain(session: AsyncSession, statements: list[Sent]) -> Any:
    """Run the statements again, on the rows that they met; yield the steps of their plans."""
    connection = await session.connection()
    async with connection.begin_nested() as savepoint:
        for statement, parameters in statements:
            explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
            for each in parameters if isinstance(parameters, list) else [parameters]:
                plans = (await connection.exec_driver_sql(explained, each)).scalar_one()
                for step in walk(plans[0]["Plan"]):
                    yield statement, step
        await savepoint.rollback()


def walk(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", ()):
        yield from walk(inner)


def find_fault(step: dict[str, Any]) -> str | None:
    read = count_read(step)
    if "Relation Name" in step and read > ROWS:
        return f"{step['Node Type']} reads {read:.0f} rows of {step['Relation Name']}"
    if step.get("Sort Space Type") == "Disk":
        return f"a sort spills {step['Sort Space Used']} KiB to the disk"
    return None


def count_read(step: dict[str, Any]) -> float:
    """Return how many rows a step has read; what it has to look at again were candidates only."""
    left_out = sum(count for name, count in step.items() if name.startswith("Rows Removed by"))
    return float(step["Actual Loops"] * (step["Actual Rows"] + left_out))
