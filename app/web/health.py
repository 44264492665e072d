"""Whether the process lives, and whether it can serve: for load balancers and orchestrators."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from fastapi import Request
from sqlalchemy import String, column, func, table
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.errors import sqlstate
from app.database.url import DEFAULT_SCHEMA
from app.web.errors import ServiceError, Unavailable
from app.web.problems import problems
from app.web.router import Router
from app.web.schemas import Output
from app.web.session import SessionDep

_REVISIONS = select(column("version_num", String)).select_from(table("alembic_version"))

_IS_READ_ONLY = select(func.current_setting("transaction_read_only") == "on")
router = Router(tags=["health"])


@dataclass(frozen=True)
class Revisions:
    """The revisions that this release was built with; `newest` is one, unless they branch.

    At each of the `sufficient` ones the database has all that the release needs: what is between
    it and the newest only takes away what the release before needed.
    """

    newest: frozenset[str]
    known: frozenset[str]
    sufficient: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> "Revisions":
        from alembic.script import ScriptDirectory  # noqa: PLC0415  # 60 ms that only a start needs

        from alembic_online import sufficient_revisions  # noqa: PLC0415  # the same

        script = ScriptDirectory(str(folder))
        known = frozenset(revision.revision for revision in script.walk_revisions())
        return cls(frozenset(script.get_heads()), known, sufficient_revisions(script))

    def suit(self, current: frozenset[str]) -> bool:
        """Tell whether the database has all that this release needs."""
        is_whole = len(current) == len(self.newest)
        return current == self.newest or (is_whole and current <= self.sufficient)

    def are_behind(self, current: frozenset[str]) -> bool:
        """Tell whether a newer release has migrated the database."""
        return bool(current) and not current & self.known


class WrongRevision(ServiceError):
    """The database is not at the revision that this release was built with."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class WrongSchema(ServiceError):
    """Statements lead to another schema than DATABASE_SCHEMA names."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class ReadOnlyDatabase(ServiceError):
    """The database takes no writes: its address leads to a standby, or it is set to read only."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class ShuttingDown(ServiceError):
    """The process is about to end; another one answers."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Health(Output):
    status: Literal["ok"]


@router.get("/healthz")
async def get_liveness() -> Health:
    """Tell that the process answers."""
    return Health(status="ok")


@router.get(
    "/readyz", responses=problems(ShuttingDown, ReadOnlyDatabase, WrongRevision, Unavailable)
)
async def get_readiness(request: Request, session: SessionDep) -> Health:
    """Tell that the database answers, takes writes and is at the newest revision.

    While a newer release is rolled out, the database is ahead of the processes that still run;
    they stay ready, since a revision suits the release before it. None starts on such a database.
    """
    if request.app.state.stopping:
        raise ShuttingDown
    if (await session.exec(_IS_READ_ONLY)).one():
        await session.invalidate()  # another connection may lead elsewhere
        raise ReadOnlyDatabase
    await check_revision(session, request.app.state.revisions, newer=True)
    return Health(status="ok")


async def check_schema(session: AsyncSession, wanted: str) -> None:
    """Raise `WrongSchema` where a pooler has not passed our own schema on; `public` is any."""
    found = (await session.exec(select(func.current_schema()))).one()
    if wanted not in {found, DEFAULT_SCHEMA}:
        raise WrongSchema(
            f"Statements lead to the schema {found}, and DATABASE_SCHEMA is {wanted}: behind a"
            f" pooler, ALTER ROLE ... SET search_path = {wanted} (migration/roles.sql)"
        )


async def check_revision(session: AsyncSession, revisions: Revisions, *, newer: bool) -> None:
    """Raise `WrongRevision` unless the database is at the release's revision, or a `newer` one."""
    current = await read_revisions(session)
    if revisions.are_behind(current):
        if not newer:
            raise WrongRevision(
                f"The database is at {_names(current)}, which this release does not know: a newer"
                " release has migrated it"
            )
    elif not revisions.suit(current):
        raise WrongRevision(
            f"The database is at {_names(current)}, this release needs {_names(revisions.newest)};"
            " run `alembic upgrade head`"
        )


async def read_revisions(session: AsyncSession) -> frozenset[str]:
    """Return where the database is, or raise `WrongRevision` if nothing has been migrated."""
    try:
        return frozenset(await session.exec(_REVISIONS))
    except ProgrammingError as error:
        if sqlstate(error) != "42P01":  # undefined_table: nothing has been migrated
            raise
        raise WrongRevision("The database has no revision; run `alembic upgrade head`") from error


def _names(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "no revision"
