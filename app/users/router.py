"""HTTP routes for users: one's own account, and the superusers' administration."""

import uuid
from typing import Annotated

from fastapi import Depends, Query, Response, status
from fastapi.responses import StreamingResponse
from pydantic import JsonValue

from app.auth import deletion, recovery
from app.auth import service as auth
from app.auth.dependencies import (
    CurrentUser,
    RecentLogin,
    get_recent_login,
    requires,
    spare_superusers,
)
from app.auth.export import export_user
from app.auth.service import RecentLoginRequired
from app.auth.sessions import end_all_sessions
from app.users import service
from app.users.dependencies import DeletionGraceDep
from app.users.models import User
from app.users.permissions import PermissionRequired, SuperuserRequired
from app.users.schemas import UserCreate, UserPage, UserPublic, UserQuery, UserUpdate, UserUpdateMe
from app.users.service import EmailTaken, LastSuperuser, UserNotFound
from app.web.pagination import Page
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep, TransactionDep
from app.web.strict import given_once

# To be included first, since `me` is no user's id.
me = Router(prefix="/users/me", tags=["users"])
router = Router(prefix="/users", tags=["users"], responses=problems(PermissionRequired))
READERS = [Depends(requires("users:read"))]
WRITERS = [Depends(requires("users:write"))]
ADMINISTRATORS = [*WRITERS, Depends(spare_superusers)]
REFUSALS = (PermissionRequired, SuperuserRequired)


@me.get("", response_model=UserPublic)
async def get_me(user: CurrentUser) -> User:
    """Return the caller's account."""
    return user


@me.patch("", response_model=UserPublic)
async def update_me(session: SessionDep, user: CurrentUser, data: UserUpdateMe) -> User:
    """Change the caller's account."""
    return await service.update_user(session, user, data)


@me.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(RecentLoginRequired, LastSuperuser),
)
async def delete_me(session: SessionDep, login: RecentLogin, grace: DeletionGraceDep) -> None:
    """Delete the caller's account and all it has.

    If the service gives some days to think it over, the account is signed out and deactivated until
    then, and signing in takes the deletion back.
    """
    await deletion.delete_account(session, login, grace)


@me.get(
    "/export",
    response_model=dict[str, list[dict[str, JsonValue]]],
    responses=problems(RecentLoginRequired),
)
async def export_me(session: TransactionDep, login: RecentLogin) -> StreamingResponse:
    """Return all that there is about the caller, but for secrets: the rows of each table."""
    parts = await export_user(session, login.user)
    return StreamingResponse(parts, media_type="application/json")


@router.get("", response_model=UserPage, dependencies=[*READERS, Depends(given_once)])
async def list_users(session: SessionDep, query: Annotated[UserQuery, Query()]) -> Page[User]:
    """List users, newest first; `search` looks for words of addresses and names by how they begin.

    An address that somebody has finds nobody else. Of more than 10,000 that match, some are shown.
    """
    return await service.list_users(session, query)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=UserPublic,
    responses=problems(*REFUSALS, RecentLoginRequired, EmailTaken),
    dependencies=[*WRITERS, Depends(get_recent_login)],
)
async def create_user(session: SessionDep, caller: CurrentUser, data: UserCreate) -> User:
    """Add a user, who is mailed a link to choose a password; it works for 7 days."""
    return await recovery.invite_user(session, caller, data)


@router.get(
    "/{user_id}",
    response_model=UserPublic,
    responses=problems(UserNotFound),
    dependencies=READERS,
)
async def get_user(session: SessionDep, user_id: uuid.UUID) -> User:
    """Return a user."""
    return await service.get_user(session, user_id)


@router.patch(
    "/{user_id}",
    response_model=UserPublic,
    responses=problems(*REFUSALS, RecentLoginRequired, UserNotFound, LastSuperuser),
    dependencies=[*ADMINISTRATORS, Depends(get_recent_login)],
)
async def update_user(
    session: SessionDep, caller: CurrentUser, user_id: uuid.UUID, data: UserUpdate
) -> User:
    """Change a user. One that is deactivated is signed out at once."""
    return await auth.administer_user(session, caller, user_id, data)


@router.delete(
    "/{user_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*REFUSALS, RecentLoginRequired, UserNotFound, LastSuperuser),
    dependencies=[*ADMINISTRATORS, Depends(get_recent_login)],
)
async def delete_user(session: SessionDep, user_id: uuid.UUID) -> None:
    """Delete a user and all it has."""
    await service.delete_user(session, user_id)


@router.delete(
    "/{user_id}/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*REFUSALS, UserNotFound),
    dependencies=ADMINISTRATORS,
)
async def end_user_sessions(session: SessionDep, user_id: uuid.UUID) -> None:
    """Sign a user out everywhere."""
    await end_all_sessions(session, user_id)


@router.post(
    "/{user_id}/password-reset",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(*REFUSALS, UserNotFound),
    dependencies=ADMINISTRATORS,
)
async def mail_password_link(session: SessionDep, user_id: uuid.UUID) -> None:
    """Mail a user a link to choose a password: again to one who was invited, or for a new one.

    A deactivated user gets none.
    """
    await recovery.mail_password_link(session, user_id)
