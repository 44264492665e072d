"""How the tests of this folder let a route work, fail, and be looked at."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastapi import (
    FastAPI,
)
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from app.web.router import Router
from tests.marbles import Marble

FAILURE = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"


async def count_marbles(session: AsyncSession) -> int:
    count = (await session.exec(select(func.count()).select_from(Marble))).one()
    await session.commit()
    return count


async def work(app: FastAPI, client: AsyncClient, endpoint: Callable[..., Any]) -> Any:
    """Let `POST /work` call an endpoint, and return what it answers."""
    router = Router()
    router.add_api_route("/work", endpoint, methods=["POST"], response_model=None)
    app.include_router(router)
    answer = await client.post("/work")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fail_in(session: AsyncSession, transaction: AsyncSessionTransaction, user: User) -> None:
    """Add a marble in a transaction that fails."""
    with suppress(LookupError):
        async with transaction:
            session.add(Marble(title="Undone", owner_id=user.id))
            await session.flush()
            raise LookupError
