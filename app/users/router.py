"""HTTP routes for users: one's own account, and the superusers' administration."""

import uuid
from typing import Annotated

from fastapi import Depends, Query, Response, status

from app.auth import recovery
from app.auth import service as auth
from app.auth.dependencies import (
    CurrentUser,
    RecentLogin,
    SuperuserRequired,
    get_recent_login,
    get_superuser,
)
from app.auth.service import RecentLoginRequired
from app.auth.sessions import end_all_sessions
from app.users import service
from app.users.models import User
from app.users.schemas import UserCreate, UserPage, UserPublic, UserQuery, UserUpdate, UserUpdateMe
from app.users.service import EmailTaken, LastSuperuser, UserNotFound
from app.web.pagination import Page
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep
from app.web.strict import given_once

# To be included first, since `me` is no user's id.
me = Router(prefix="/users/me", tags=["users"])
router = Router(
    prefix="/users",
    tags=["users"],
    dependencies=[Depends(get_superuser)],
    responses=problems(SuperuserRequired),
)


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
async def delete_me(session: SessionDep, login: RecentLogin) -> None:
    """Delete the caller's account and all it has."""
    await auth.delete_account(session, login)


@router.get("", response_model=UserPage, dependencies=[Depends(given_once)])
async def list_users(session: SessionDep, query: Annotated[UserQuery, Query()]) -> Page[User]:
    """List users, newest first; `search` looks for words of addresses and names by how they begin.

    Of more than 10,000 that match, it is not said which are shown.
    """
    return await service.list_users(session, query)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=UserPublic,
    responses=problems(SuperuserRequired, RecentLoginRequired, EmailTaken),
    dependencies=[Depends(get_recent_login)],
)
async def create_user(session: SessionDep, data: UserCreate) -> User:
    """Add a user, who is mailed a link to choose a password; it works for 7 days."""
    return await recovery.invite_user(session, data)


@router.get("/{user_id}", response_model=UserPublic, responses=problems(UserNotFound))
async def get_user(session: SessionDep, user_id: uuid.UUID) -> User:
    """Return a user."""
    return await service.get_user(session, user_id)


@router.patch(
    "/{user_id}",
    response_model=UserPublic,
    responses=problems(SuperuserRequired, RecentLoginRequired, UserNotFound, LastSuperuser),
    dependencies=[Depends(get_recent_login)],
)
async def update_user(session: SessionDep, user_id: uuid.UUID, data: UserUpdate) -> User:
    """Change a user. One that is deactivated is signed out at once."""
    return await auth.administer_user(session, user_id, data)


@router.delete(
    "/{user_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(SuperuserRequired, RecentLoginRequired, UserNotFound, LastSuperuser),
    dependencies=[Depends(get_recent_login)],
)
async def delete_user(session: SessionDep, user_id: uuid.UUID) -> None:
    """Delete a user and all it has."""
    await service.delete_user(session, user_id)


@router.delete(
    "/{user_id}/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(UserNotFound),
)
async def end_user_sessions(session: SessionDep, user_id: uuid.UUID) -> None:
    """Sign a user out everywhere."""
    await end_all_sessions(session, user_id)


@router.post(
    "/{user_id}/password-reset",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(UserNotFound),
)
async def mail_password_link(session: SessionDep, user_id: uuid.UUID) -> None:
    """Mail a user a link to choose a password: again to one who was invited, or for a new one.

    A deactivated user gets none.
    """
    await recovery.mail_password_link(session, user_id)
