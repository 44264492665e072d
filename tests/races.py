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

WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
# There, the one that waits for a lock may be at another server on behalf of this one.
WAITING_ON_CITUS = """SELECT count(DISTINCT waiting_gpid) FROM citus_lock_waits
    JOIN citus_stat_activity ON global_pid = waiting_gpid WHERE datname = current_database()"""


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
    async with app.state.database.new_session() as session:
        waiting = text(WAITING_ON_CITUS if await is_citus(session) else WAITING)
        count: int = await (await session.connection()).scalar(waiting)
        return count


async def is_citus(session: AsyncSession) -> bool:
    """Tell whether the tables are on several servers, whose locks do not see each other's."""
    view = text("SELECT to_regclass('citus_lock_waits') IS NOT NULL")
    return bool(await (await session.connection()).scalar(view))
