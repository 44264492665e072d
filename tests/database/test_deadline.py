"""A request waits for the database until its deadline, whatever the server does."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.database.deadline import time_limit
from app.database.transactions import Database
from app.users.models import User
from app.web.session import SessionDep
from tests.database.test_unavailable import count_unavailable, unavailable
from tests.factories import make_user, new_user, sign_in
from tests.marbles import Marble
from tests.problems import read_problem

FOR_EVER = "SET LOCAL statement_timeout = 0; SELECT pg_sleep(600)"
# A COMMIT that waits, as one does for a standby that does not answer.
SLOW_COMMIT = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON marble
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()
"""


# The server does not notice that nobody waits any more.
END_SLEEPERS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'"""


@pytest.fixture(autouse=True)
async def database(live_app: FastAPI) -> AsyncIterator[Database]:
    database: Database = live_app.state.database
    database.request_timeout = 0.3
    yield database
    async with database.connect() as connection:
        await connection.execute(text(END_SLEEPERS))


async def run(session: AsyncSession, statements: str) -> None:
    """Send statements one by one; each ends with its line."""
    for statement in statements.split(";\n"):
        await (await session.connection()).execute(text(statement))


async def test_statement_without_end_is_given_up(
    live_app: FastAPI, live_client: AsyncClient, database: Database
) -> None:
    tries = []

    @live_app.post("/work")
    async def endpoint(session: SessionDep) -> None:
        tries.append(session)
        for statement in FOR_EVER.split("; "):
            await (await session.connection()).execute(text(statement))

    await unavailable(live_client, "time_limit", "OperationalError")
    assert len(tries) == 1
    assert database.connections_in_use == 0
    assert (await live_client.get("/readyz")).status_code == 200


async def test_commit_without_end_has_an_unknown_outcome(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession, database: Database
) -> None:
    user = await make_user(live_session)
    await sign_in(live_client, live_session, user)
    await run(live_session, SLOW_COMMIT)
    await live_session.commit()
    try:

        @live_app.post("/work")
        async def endpoint(session: SessionDep, user: CurrentUser) -> None:
            await (await session.connection()).execute(text("SET LOCAL statement_timeout = 0"))
            session.add(Marble(title="New", owner_id=user.id))

        before = count_unavailable("outcome", "OperationalError")
        answer = await live_client.post("/work")
        read_problem(answer, 503, "outcome_unknown")
        assert count_unavailable("outcome", "OperationalError") == before + 1
        assert "retry-after" not in answer.headers
        assert database.connections_in_use == 0
        assert (await live_client.get("/api/v1/users/me")).status_code == 200
    finally:
        await (await live_session.connection()).execute(text(END_SLEEPERS))
        await run(live_session, "DROP FUNCTION wait CASCADE")
        await live_session.commit()


async def test_route_can_take_its_time(live_app: FastAPI, live_client: AsyncClient) -> None:
    @live_app.get("/work")
    async def endpoint(session: SessionDep) -> None:
        with time_limit(60):
            await (await session.connection()).execute(text("SELECT pg_sleep(0.5)"))

    assert (await live_client.get("/work")).status_code == 200


async def test_route_that_has_taken_its_time_is_committed(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    live_app.state.database.request_timeout = 0.3

    @live_app.post("/work", status_code=201)
    async def endpoint(session: SessionDep) -> None:
        with time_limit(60):
            await (await session.connection()).execute(text("SELECT pg_sleep(0.5)"))
            session.add(new_user())

    assert (await live_client.post("/work")).status_code == 201
    assert len(list(await live_session.exec(select(User)))) == 1


async def test_lookup_of_a_token_has_the_deadline_too(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    await run(live_session, 'LOCK TABLE "user" IN ACCESS EXCLUSIVE MODE')
    await unavailable(live_client, "time_limit", "OperationalError", "GET", "/api/v1/users/me")
    await live_session.rollback()
    assert (await live_client.get("/api/v1/users/me")).status_code == 200
