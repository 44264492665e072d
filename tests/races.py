"""Requests that meet in the database, in a known order."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User


async def race(
    app: FastAPI, session: AsyncSession, *requests: Coroutine[Any, Any, Response]
) -> list[Response]:
    """Let the requests run until each waits for a user's row, in this order, then all at once."""
    await session.exec(select(User.id).with_for_update())
    running: list[asyncio.Task[Response]] = []
    for request in requests:
        running.append(asyncio.create_task(request))
        while not running[-1].done() and await count_waiting(app) < len(running):
            pass
    await session.commit()
    return await asyncio.gather(*running)


async def count_waiting(app: FastAPI) -> int:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with app.state.database.new_session() as session:
        count: int = await (await session.connection()).scalar(waiting)
        return count
