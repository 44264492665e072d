"""HTTP routes to sign up, sign in and out, and to change the password."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, status

from app.auth import login as signing_in
from app.auth import service
from app.auth.dependencies import (
    ClientDep,
    CurrentLogin,
    HasherDep,
    LimitedSignUp,
    LimitsDep,
    RecentLogin,
)
from app.auth.login import InvalidCredentials
from app.auth.rate_limit import TooManyRequests
from app.auth.schemas import LoginForm, LoginSessionPublic, PasswordChange, TokenPublic
from app.auth.service import (
    IncorrectPassword,
    RecentLoginRequired,
    SessionNotFound,
)
from app.errors import Unavailable, problems
from app.routing import ServiceRoute, SessionDep
from app.users.models import User
from app.users.schemas import UserPublic
from app.users.service import EmailTaken

router = APIRouter(tags=["auth"], route_class=ServiceRoute)


@router.post(
    "/auth/signup",
    status_code=status.HTTP_201_CREATED,
    response_model=UserPublic,
    responses=problems(EmailTaken, TooManyRequests, Unavailable),
)
async def sign_up(session: SessionDep, hasher: HasherDep, data: LimitedSignUp) -> User:
    """Create an account."""
    return await service.sign_up(session, hasher, data)


@router.post("/auth/login", responses=problems(InvalidCredentials, TooManyRequests, Unavailable))
async def log_in(
    session: SessionDep,
    hasher: HasherDep,
    limits: LimitsDep,
    client: ClientDep,
    form: Annotated[LoginForm, Form()],
) -> TokenPublic:
    """Trade an e-mail address and a password for an access token."""
    return await signing_in.log_in(session, hasher, limits, form, client)


@router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def log_out(session: SessionDep, login: CurrentLogin) -> None:
    """End the login session of this access token."""
    await service.log_out(session, login)


@router.get("/auth/sessions")
async def list_sessions(session: SessionDep, login: CurrentLogin) -> Sequence[LoginSessionPublic]:
    """List the devices that are signed in, the one used last first."""
    return await service.list_sessions(session, login)


@router.delete("/auth/sessions", status_code=status.HTTP_204_NO_CONTENT)
async def end_other_sessions(session: SessionDep, login: CurrentLogin) -> None:
    """Sign out all other devices."""
    await service.end_other_sessions(session, login)


@router.delete(
    "/auth/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(SessionNotFound),
)
async def end_session(session: SessionDep, login: CurrentLogin, session_id: uuid.UUID) -> None:
    """Sign out one device."""
    await service.end_session(session, login, session_id)


@router.put(
    "/users/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(IncorrectPassword, RecentLoginRequired, TooManyRequests, Unavailable),
)
async def change_password(
    session: SessionDep,
    hasher: HasherDep,
    limits: LimitsDep,
    login: RecentLogin,
    data: PasswordChange,
) -> None:
    """Change the password, and sign out all other devices."""
    await service.change_password(session, hasher, limits, login, data)
