"""Opens the database for a command of `app`, once, and closes it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import URL
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.database.url import require_postgresql
from app.parts import create_database, read_revisions
from app.settings import Settings
from app.web.health import check_revision, check_schema

_T = TypeVar("_T")


class UsageError(Exception):
    """The command cannot do what was asked of it."""


@contextmanager
def any_database(settings: Settings) -> Iterator[URL]:
    with settings.open_database_url() as url:
        require_postgresql(url)
        yield url


@contextmanager
def migrated_database(settings: Settings) -> Iterator[URL]:
    """Yield the URL of a database that suits this release, or raise `WrongRevision`."""
    with any_database(settings) as url:
        require_revision(url, settings)
        yield url


def require_revision(url: URL, settings: Settings) -> None:
    """Raise `WrongSchema` or `WrongRevision` for a database that this release cannot use."""

    async def check(session: AsyncSession) -> None:
        await check_schema(session, settings.database_schema)
        await check_revision(session, read_revisions(), newer=settings.newer_database)

    transact(url, settings, check)


def transact(url: URL, settings: Settings, work: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
    return run_with_database(url, settings, lambda database: database.transact(work))


def run_with_database(
    url: URL, settings: Settings, work: Callable[[Database], Awaitable[_T]], pool_size: int = 1
) -> _T:
    async def run() -> _T:
        database = create_database(url, settings, pool_size)
        try:
            return await work(database)
        finally:
            await database.dispose()

    return asyncio.run(run())
