"""What the tutorials of SQLModel and SQLAlchemy teach, in routes of the service: it just works."""

import uuid
from contextlib import suppress
from typing import Any

import pytest
from fastapi import (
    APIRouter,
    FastAPI,
)
from httpx2 import AsyncClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import selectinload
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.database.transactions import Database
from app.users.models import User
from app.web.session import SessionDep
from tests.factories import make_user
from tests.marbles import Marble, MarbleCreate, MarblePublic, make_marble
from tests.problems import read_problem
from tests.web.ordinary_code.working import count_marbles, fail_in, work

pytestmark = pytest.mark.usefixtures("_live_marbles")


async def test_what_is_assigned_to_the_user_is_written(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    @router.patch("/work")
    async def endpoint(user: CurrentUser) -> None:
        user.full_name = "New"

    live_app.include_router(router)
    assert (await client.patch("/work")).status_code == 200
    await live_session.refresh(user)
    assert user.full_name == "New"


async def test_relationships_load_as_documented(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user, title="Mine")

    async def endpoint(session: SessionDep, current: CurrentUser) -> list[str]:
        user: Any = current
        model: Any = User  # whose relationship the tests have added
        awaited = await user.awaitable_attrs.marbles
        await session.refresh(user, ["marbles"])
        refreshed = user.marbles
        session.expunge_all()
        eager: Any = select(User).options(selectinload(model.marbles))
        selected = (await session.exec(eager)).one().marbles
        return [each.title for each in (*awaited, *refreshed, *selected)]

    assert await work(live_app, client, endpoint) == ["Mine"] * 3


async def test_transaction_is_the_routes_to_begin(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    async def endpoint(session: SessionDep, user: CurrentUser) -> str:
        async with session.begin():
            session.add(Marble(title="Kept", owner_id=user.id))
        await fail_in(session, session.begin(), user)
        options = {"isolation_level": "SERIALIZABLE"}
        connection = await session.connection(execution_options=options)
        level: str = await connection.scalar(text("SHOW transaction_isolation"))
        return level

    assert await work(live_app, client, endpoint) == "serializable"
    assert list(await live_session.exec(select(Marble.title))) == ["Kept"]


async def test_savepoints_deletion_and_run_sync_work(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user)

    async def endpoint(session: SessionDep, user: CurrentUser) -> int:
        await fail_in(session, session.begin_nested(), user)
        count: int = await session.run_sync(
            lambda sync: sync.scalar(select(func.count()).select_from(Marble))  # type: ignore[arg-type, return-value]
        )
        await session.delete(user)
        return count

    assert await work(live_app, client, endpoint) == 1
    assert (await live_session.exec(select(User.id))).all() == []


async def test_events_of_sqlalchemy_are_heard(live_app: FastAPI, client: AsyncClient) -> None:
    heard: list[str] = []

    def hear(session: SyncSession, _: object) -> None:
        heard.extend(type(each).__name__ for each in session.new)

    async def endpoint(session: SessionDep, user: CurrentUser) -> None:
        event.listen(session.sync_session, "before_flush", lambda *about: hear(*about[:2]))
        session.add(Marble(title="New", owner_id=user.id))

    await work(live_app, client, endpoint)
    assert heard == ["Marble"]


async def test_engine_is_transactional(live_app: FastAPI, live_session: AsyncSession) -> None:
    database: Database = live_app.state.database
    user = await make_user(live_session)
    with suppress(LookupError):
        async with database.engine.begin() as connection:
            await connection.execute(text('UPDATE "user" SET full_name = NULL'))
            raise LookupError
    await live_session.refresh(user)
    assert user.full_name is not None


async def test_commit_and_refresh_as_in_the_tutorial(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, router: APIRouter
) -> None:
    @router.post("/work", response_model=MarblePublic)
    async def endpoint(session: SessionDep, user: CurrentUser, data: MarbleCreate) -> Marble:
        marble = Marble.model_validate(data, update={"owner_id": user.id})
        session.add(marble)
        await session.commit()
        await session.refresh(marble)
        return marble

    live_app.include_router(router)
    answer = await client.post("/work", json={"title": "New"})
    assert answer.json()["title"] == "New"
    assert await count_marbles(live_session) == 1


async def test_what_was_committed_is_not_done_again(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    @live_app.post("/work")
    async def endpoint(session: SessionDep, user: CurrentUser) -> None:
        session.add(Marble(title="Once", owner_id=user.id))
        await session.commit()
        connection = await session.connection()
        await connection.execute(
            text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        )

    read_problem(await client.post("/work"), 503, "unavailable")
    assert await count_marbles(live_session) == 1


async def test_foreign_key_violation_is_a_conflict_tried_once(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    router: APIRouter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tries = []

    @router.post("/work")
    async def endpoint(session: SessionDep) -> None:
        tries.append(session)
        session.add(Marble(title="Nobody's", owner_id=uuid.uuid4()))

    live_app.include_router(router)
    answer = await client.post("/work")
    read_problem(answer, 409, "conflict")
    assert "unexpected_error" not in capsys.readouterr().err
    assert len(tries) == 1
    assert await count_marbles(live_session) == 0


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("SELECT CAST(:value AS int)", 10**12),
        ("SELECT CAST(:value AS int)", 10**20),
        ("SELECT 1 LIMIT :value", -1),
        ("SELECT 1 OFFSET :value", -1),
        ("SELECT CAST(:value AS text)", "a\0b"),
        ("SELECT CAST(:value AS uuid)", "canary"),
        ("SELECT CAST(:value AS timestamp)", "2026-02-30"),
    ],
)
async def test_value_that_no_schema_has_refused_is_refused(
    live_app: FastAPI, client: AsyncClient, router: APIRouter, statement: str, value: Any
) -> None:
    @router.get("/work")
    async def endpoint(session: SessionDep) -> None:
        await (await session.connection()).execute(text(statement), {"value": value})

    live_app.include_router(router)
    problem = read_problem(await client.get("/work"), 422, "unprocessable_content")
    assert problem["errors"][0]["type"] == "database"
    assert "canary" not in str(problem)


async def test_division_by_zero_is_a_fault(live_app: FastAPI, client: AsyncClient) -> None:
    @live_app.get("/work")
    async def endpoint(session: SessionDep) -> None:
        await (await session.connection()).execute(text("SELECT 1 / 0"))

    read_problem(await client.get("/work"), 500, "internal_server_error")


async def test_row_that_is_too_long_is_refused(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    @live_app.post("/work")
    async def endpoint(session: SessionDep, user: CurrentUser) -> None:
        session.add(Marble(title="x" * 256, owner_id=user.id))

    read_problem(await client.post("/work"), 422, "unprocessable_content")
    assert await count_marbles(live_session) == 0
