"""What streams, background tasks and dependencies do once the answer has begun."""

import csv
import uuid
from collections.abc import AsyncIterator

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
)
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.database.transactions import Database
from app.users.models import User
from app.web.session import DatabaseDep, SessionDep
from tests.marbles import Marble, make_marble
from tests.web.ordinary_code.working import count_marbles

pytestmark = pytest.mark.usefixtures("_live_marbles")


async def test_session_lasts_as_long_as_a_stream(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    await make_marble(live_session, user, title="Mine")

    @router.get("/response")
    async def respond(session: SessionDep, user: CurrentUser) -> StreamingResponse:
        async def read() -> AsyncIterator[str]:
            yield "owner,title\n"
            for marble in await session.exec(select(Marble).where(Marble.owner_id == user.id)):
                yield f"{user.email},{marble.title}\n"

        return StreamingResponse(read(), media_type="text/csv")

    @router.get("/generator", response_class=StreamingResponse)
    async def generate(session: SessionDep) -> AsyncIterator[str]:
        for marble in await session.exec(select(Marble)):
            yield marble.title

    live_app.include_router(router)
    rows = [*csv.DictReader((await client.get("/response")).text.splitlines())]
    assert rows == [{"owner": user.email, "title": "Mine"}]
    assert (await client.get("/generator")).text == "Mine"
    assert live_app.state.database.connections_in_use == 0


async def test_background_task_runs_after_the_commit(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    seen: list[int] = []

    async def look(database: Database, user_id: uuid.UUID) -> None:
        async def add(session: AsyncSession) -> None:
            seen.append((await session.exec(select(func.count()).select_from(Marble))).one())
            session.add(Marble(title="By the task", owner_id=user_id))

        await database.transact(add)

    @live_app.post("/work")
    async def endpoint(
        session: SessionDep, user: CurrentUser, database: DatabaseDep, tasks: BackgroundTasks
    ) -> None:
        session.add(Marble(title="By the route", owner_id=user.id))
        tasks.add_task(look, database, user.id)

    await client.post("/work")
    assert seen == [1]
    assert await count_marbles(live_session) == 2


async def test_dependency_uses_the_session_after_its_yield(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    async def note(session: SessionDep, user: CurrentUser) -> AsyncIterator[None]:
        yield
        session.add(Marble(title="Afterwards", owner_id=user.id))

    live_app.post("/work", dependencies=[Depends(note)])(lambda: None)
    assert (await client.post("/work")).status_code == 200
    assert list(await live_session.exec(select(Marble.title))) == ["Afterwards"]
