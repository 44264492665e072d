"""What a GET may do with its session, and what it is told that it may not."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import (
    FastAPI,
    HTTPException,
)
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.users.models import User
from app.web.session import SessionDep, TransactionDep
from tests.marbles import Marble, make_marble
from tests.problems import read_problem
from tests.web.ordinary_code.working import count_marbles

pytestmark = pytest.mark.usefixtures("_live_marbles")


def get(app: FastAPI, endpoint: Callable[..., Any]) -> None:
    app.add_api_route("/work", endpoint, methods=["GET"], response_model=None)


async def add_at_the_end(session: SessionDep, user: CurrentUser) -> None:
    session.add(Marble(title="New", owner_id=user.id))


async def flush_and_refuse(session: SessionDep, user: CurrentUser) -> None:
    session.add(Marble(title="New", owner_id=user.id))
    await session.flush()
    raise HTTPException(409)


async def update_by_statement(session: SessionDep, _: CurrentUser) -> None:
    await (await session.connection()).execute(text("UPDATE marble SET title = 'New'"))


async def lock(session: SessionDep, _: CurrentUser) -> None:
    await session.exec(select(Marble).with_for_update())


async def open_savepoint(session: SessionDep, _: CurrentUser) -> None:
    async with session.begin_nested():
        await session.exec(select(Marble))


async def stream(session: SessionDep, _: CurrentUser) -> None:
    await session.stream_scalars(select(Marble))


async def set_locally(session: SessionDep, _: CurrentUser) -> None:
    await (await session.connection()).execute(text("SET LOCAL lock_timeout = 1"))


@pytest.mark.parametrize(
    "endpoint",
    [
        *(add_at_the_end, flush_and_refuse, update_by_statement, lock),
        *(open_savepoint, stream, set_locally),
    ],
)
async def test_get_that_does_not_only_read_is_told_what_to_do(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    capsys: pytest.CaptureFixture[str],
    endpoint: Callable[..., Any],
) -> None:
    get(live_app, endpoint)
    read_problem(await client.get("/work"), 500, "internal_server_error")
    assert "TransactionDep" in capsys.readouterr().err
    assert await count_marbles(live_session) == 0


async def test_get_can_ask_for_a_transaction(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user, title="Old")

    @live_app.get("/work")
    async def endpoint(session: TransactionDep, _: CurrentUser) -> list[str]:
        connection = await session.connection()
        await connection.execute(text("SET LOCAL lock_timeout = 1"))
        found = [each.title async for each in await session.stream_scalars(select(Marble))]
        async with session.begin_nested():
            (marble,) = await session.exec(select(Marble).with_for_update())
        marble.title = "New"
        return [*found, str(await connection.scalar(text("SHOW lock_timeout")))]

    assert (await client.get("/work")).json() == ["Old", "1ms"]
    assert list(await live_session.exec(select(Marble.title))) == ["New"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_set_does_not_outlive_the_request(
    live_app: FastAPI, client: AsyncClient, method: str
) -> None:
    async def endpoint(session: SessionDep) -> str:
        connection = await session.connection()
        before = str(await connection.scalar(text("SHOW work_mem")))
        await connection.execute(text("SET work_mem = '77MB'"))
        return before

    live_app.add_api_route("/work", endpoint, methods=[method], response_model=None)
    answers = [(await client.request(method, "/work")).json() for _ in range(2)]
    assert "77MB" not in answers
