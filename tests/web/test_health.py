import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import URL, text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.web.health import Revisions, WrongRevision, check_revision
from tests.conftest import new_client
from tests.problems import read_problem


async def test_liveness_needs_no_database(app: FastAPI, client: AsyncClient) -> None:
    nowhere = URL.create("postgresql+psycopg", host="/nonexistent", database="app")
    app.state.database = Database(nowhere, pool_size=1)
    response = await client.get("/healthz")
    assert response.status_code == 200, response.text
    assert response.json() == {"status": "ok"}


async def test_readiness_is_ok_at_the_newest_revision(client: AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200, response.text
    assert response.json() == {"status": "ok"}


async def set_revision(session: AsyncSession, revision: str) -> None:
    connection = await session.connection()
    await connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
    await session.commit()


async def test_readiness_refuses_an_older_revision(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    app.state.revisions = Revisions(newest=frozenset(["b"]), known=frozenset(["a", "b"]))
    await set_revision(session, "a")
    problem = read_problem(await client.get("/readyz"), 503, "wrong_revision")
    assert problem["detail"] == (
        "The database is at a, this release needs b; run `alembic upgrade head`"
    )
    connection = await session.connection()
    await connection.execute(text("DELETE FROM alembic_version"))
    await session.commit()
    problem = read_problem(await client.get("/readyz"), 503, "wrong_revision")
    assert "at no revision" in problem["detail"]


async def test_readiness_needs_no_contraction(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    app.state.revisions = Revisions(
        newest=frozenset(["c"]), known=frozenset("abc"), sufficient=frozenset("bc")
    )
    for revision, status in (("a", 503), ("b", 200), ("c", 200)):
        await set_revision(session, revision)
        assert (await client.get("/readyz")).status_code == status


async def test_readiness_stays_while_a_newer_release_is_rolled_out(
    client: AsyncClient, session: AsyncSession
) -> None:
    await set_revision(session, "newer")
    response = await client.get("/readyz")
    assert response.status_code == 200, response.text


async def test_check_revision_refuses_a_newer_database_at_the_start(
    app: FastAPI, session: AsyncSession
) -> None:
    await set_revision(session, "newer")
    with pytest.raises(WrongRevision, match="at newer, which this release does not know"):
        await check_revision(session, app.state.revisions, newer=False)
    await check_revision(session, app.state.revisions, newer=True)


async def test_readiness_ends_when_the_process_is_told_to_stop(
    app: FastAPI, client: AsyncClient
) -> None:
    app.state.stopping = True
    read_problem(await client.get("/readyz"), 503, "shutting_down")
    assert (await client.get("/healthz")).status_code == 200


async def test_readiness_refuses_a_database_without_tables(
    app: FastAPI, empty_database: URL
) -> None:
    app.state.database = Database(empty_database, pool_size=1)
    async with new_client(app) as client:
        answer = await client.get("/readyz")
    await app.state.database.dispose()
    problem = read_problem(answer, 503, "wrong_revision")
    assert problem["detail"] == "The database has no revision; run `alembic upgrade head`"


async def test_readiness_refuses_an_absent_database(app: FastAPI, client: AsyncClient) -> None:
    nowhere = URL.create("postgresql+psycopg", host="/nonexistent", database="app")
    app.state.database = Database(nowhere, pool_size=1)
    answer = await client.get("/readyz")
    read_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
