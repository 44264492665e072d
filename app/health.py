"""Whether the process lives, and whether it can serve: for load balancers and orchestrators."""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import String, column, table
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database import sqlstate
from app.errors import ServiceError, Unavailable, problems
from app.routing import ServiceRoute, SessionDep

_REVISIONS = select(column("version_num", String)).select_from(table("alembic_version"))

router = APIRouter(tags=["health"], route_class=ServiceRoute)


class WrongRevision(ServiceError):
    """The database is not at the revision that this release was built with."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def get_liveness() -> Health:
    """Tell that the process answers."""
    return Health()


@router.get("/readyz", responses=problems(WrongRevision, Unavailable))
async def get_readiness(request: Request, session: SessionDep) -> Health:
    """Tell that the database answers and is at the newest revision."""
    await check_revision(session, expected=request.app.state.revisions)
    return Health()


async def check_revision(session: AsyncSession, *, expected: frozenset[str]) -> None:
    """Raise `WrongRevision` unless the database is at exactly these revisions."""
    try:
        found = await session.exec(_REVISIONS)
    except ProgrammingError as error:
        if sqlstate(error) != "42P01":  # undefined_table: nothing has been migrated
            raise
        raise WrongRevision("The database has no revision; run `alembic upgrade head`") from error
    current = frozenset(found)
    if current != expected:
        raise WrongRevision(
            f"The database is at {_names(current)}, this release needs {_names(expected)};"
            " run `alembic upgrade head`"
        )


def _names(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "no revision"
