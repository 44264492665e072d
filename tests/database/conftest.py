"""The live application's database, and others that write to it."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.database.transactions import Database


@pytest.fixture
def live(live_app: FastAPI) -> Database:
    """The live application's database."""
    database: Database = live_app.state.database
    return database


@pytest.fixture
async def elsewhere(live_database: URL) -> AsyncIterator[AsyncEngine]:
    """Other clients of the same database, each statement of theirs committed at once."""
    engine = create_async_engine(live_database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield engine
    await engine.dispose()
