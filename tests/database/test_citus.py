"""What Citus says otherwise than PostgreSQL; here triggers say it, word by word."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.factories import make_invitation, make_user, sign_in
from tests.problems import read_problem

TAKEN = 'duplicate key value violates unique constraint "ix_user_email_102008"'


async def say(session: AsyncSession, message: str, state: str, trigger: str) -> None:
    """Have the database refuse whatever is written, from now on."""
    connection = await session.connection()
    raised = f"BEGIN RAISE EXCEPTION '%', '{message}' USING ERRCODE = '{state}'; END"
    function = f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $${raised}$$"
    for statement in (function, f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()"):
        await connection.execute(text(statement))


async def test_constraint_of_a_shard_is_known(
    session: AsyncSession, superuser_client: AsyncClient
) -> None:
    await say(session, TAKEN, "23505", 'CREATE TRIGGER t BEFORE INSERT ON "user"')
    answer = await superuser_client.post("/api/v1/users", json=make_invitation("a@example.com"))
    read_problem(answer, 409, "email_taken")


@pytest.mark.usefixtures("_marbles")
async def test_lost_worker_is_unavailable(session: AsyncSession, user_client: AsyncClient) -> None:
    message = "failure on connection marked as essential: worker:5432"
    await say(session, message, "XX000", "CREATE TRIGGER t BEFORE INSERT ON marble")
    answer = await user_client.post("/api/v1/marbles", json={"title": "New"})
    read_problem(answer, 503, "unavailable")


@pytest.mark.usefixtures("_live_marbles")
async def test_worker_that_is_lost_at_commit_leaves_the_outcome_unknown(
    live_session: AsyncSession, live_client: AsyncClient
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    message = "could not commit transaction for shard 102008 on any active node"
    trigger = "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON marble INITIALLY DEFERRED"
    await say(live_session, message, "XX000", trigger)
    await live_session.commit()
    try:
        answer = await live_client.post("/api/v1/marbles", json={"title": "New"})
        problem = read_problem(answer, 503, "outcome_unknown")
        assert "retry-after" not in answer.headers, problem
    finally:
        await (await live_session.connection()).execute(text("DROP FUNCTION refuse CASCADE"))
        await live_session.commit()
