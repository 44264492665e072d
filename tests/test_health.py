from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import URL, text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database import Database
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


async def test_readiness_refuses_another_revision(
    client: AsyncClient, session: AsyncSession
) -> None:
    connection = await session.connection()
    await connection.execute(text("UPDATE alembic_version SET version_num = 'another'"))
    await session.commit()
    answer = await client.get("/readyz")
    problem = read_problem(answer, 503, "wrong_revision")
    assert "alembic upgrade head" in problem["detail"]
    await connection.execute(text("DELETE FROM alembic_version"))
    await session.commit()
    problem = read_problem(await client.get("/readyz"), 503, "wrong_revision")
    assert "at no revision" in problem["detail"]


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
