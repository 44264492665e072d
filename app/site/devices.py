"""The page of the devices that are signed in."""

import uuid

from fastapi import Response

from app.auth import sessions
from app.site.dependencies import UserVisit
from app.site.routing import go, new_router
from app.web.session import SessionDep

router = new_router()
PATH = "/account/devices"


@router.get(PATH)
async def list_devices(session: SessionDep, visit: UserVisit) -> Response:
    """Show where the user is signed in."""
    devices = await sessions.list_sessions(session, visit.login)
    return visit.show("account/devices.html", devices=devices)


@router.post(f"{PATH}/sign-out")
async def end_other_sessions(session: SessionDep, visit: UserVisit) -> Response:
    """Sign out all other devices."""
    await sessions.end_other_sessions(session, visit.login)
    return go(PATH, "devices")


@router.post(f"{PATH}/{{session_id}}/sign-out")
async def end_session(session: SessionDep, visit: UserVisit, session_id: uuid.UUID) -> Response:
    """Sign out one device."""
    await sessions.end_session(session, visit.login, session_id)
    return go(PATH, "device")
