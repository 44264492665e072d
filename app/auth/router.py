"""HTTP routes to sign up, sign in and out, and to change the password and the address."""

import uuid
from collections.abc import Sequence

from fastapi import Depends, Response, status

from app.auth import login as signing_in
from app.auth import recovery, service, sessions
from app.auth.dependencies import (
    AnyLogin,
    AttemptDep,
    ClientDep,
    CurrentLogin,
    CurrentUser,
    GateDep,
    HasherDep,
    LimitedSignUp,
    LimitsDep,
    OptionalLogin,
    RecentLogin,
    limit_mail_tokens,
)
from app.auth.gate import SecondFactorRequired
from app.auth.login import InvalidCredentials
from app.auth.rate_limit import TooManyRequests
from app.auth.schemas import (
    EmailChange,
    EmailConfirmation,
    LoginSessionPublic,
    PasswordChange,
    PasswordReset,
    PasswordResetRequest,
    TokenPublic,
)
from app.auth.service import IncorrectPassword, RecentLoginRequired
from app.auth.sessions import SessionNotFound
from app.mail.service import InvalidToken as InvalidMailToken
from app.users.models import User
from app.users.schemas import UserPublic
from app.users.service import EmailTaken
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep
from app.web.strict import given_once

router = Router(tags=["auth"])


@router.post(
    "/auth/signup",
    status_code=status.HTTP_201_CREATED,
    response_model=UserPublic,
    responses=problems(EmailTaken, TooManyRequests),
)
async def sign_up(session: SessionDep, hasher: HasherDep, data: LimitedSignUp) -> User:
    """Create an account."""
    return await service.sign_up(session, hasher, data)


@router.post(
    "/auth/login",
    dependencies=[Depends(given_once)],
    responses=problems(InvalidCredentials, SecondFactorRequired, TooManyRequests),
)
async def log_in(
    session: SessionDep,
    hasher: HasherDep,
    limits: LimitsDep,
    gate: GateDep,
    attempt: AttemptDep,
) -> TokenPublic:
    """Trade an e-mail address and a password for an access token."""
    return await signing_in.log_in(session, hasher, limits, gate, attempt)


@router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def log_out(session: SessionDep, login: AnyLogin) -> None:
    """End the login session of this access token."""
    await sessions.log_out(session, login)


@router.get("/auth/sessions")
async def list_sessions(session: SessionDep, login: CurrentLogin) -> Sequence[LoginSessionPublic]:
    """List the devices that are signed in, the one used last first."""
    return await sessions.list_sessions(session, login)


@router.delete("/auth/sessions", status_code=status.HTTP_204_NO_CONTENT)
async def end_other_sessions(session: SessionDep, login: CurrentLogin) -> None:
    """Sign out all other devices."""
    await sessions.end_other_sessions(session, login)


@router.delete(
    "/auth/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(SessionNotFound),
)
async def end_session(session: SessionDep, login: CurrentLogin, session_id: uuid.UUID) -> None:
    """Sign out one device."""
    await sessions.end_session(session, login, session_id)


@router.put(
    "/users/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(IncorrectPassword, RecentLoginRequired, TooManyRequests),
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


@router.post(
    "/auth/password-reset",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(TooManyRequests),
)
async def request_password_reset(
    session: SessionDep, limits: LimitsDep, client: ClientDep, data: PasswordResetRequest
) -> None:
    """Mail a link to set a new password, if the address has an account.

    The answer is the same whether or not it has one. The link works for 30 minutes.
    """
    await recovery.request_password_reset(session, limits, client, data)


@router.post(
    "/auth/password-reset/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limit_mail_tokens)],
    responses=problems(InvalidMailToken, TooManyRequests),
)
async def reset_password(session: SessionDep, hasher: HasherDep, data: PasswordReset) -> None:
    """Set the password with the code of a mail, and sign out everywhere."""
    await recovery.reset_password(session, hasher, data)


@router.post(
    "/auth/email-verification",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(TooManyRequests),
)
async def request_email_verification(
    session: SessionDep, limits: LimitsDep, user: CurrentUser
) -> None:
    """Mail the caller a link that verifies the address; it works for 24 hours."""
    await recovery.request_email_verification(session, limits, user)


@router.post(
    "/auth/email-verification/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limit_mail_tokens)],
    responses=problems(InvalidMailToken, EmailTaken, TooManyRequests),
)
async def confirm_email(session: SessionDep, login: OptionalLogin, data: EmailConfirmation) -> None:
    """Verify an address, or change to a new one, with the code of the mail that it got.

    Send the access token of the account along. Without it, the account is signed out everywhere,
    and its password is void: ask for a link to choose another.
    A change signs out everywhere, and is told to the old address.
    """
    await recovery.confirm_email(session, login, data)


@router.post(
    "/users/me/email",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(RecentLoginRequired, TooManyRequests),
)
async def request_email_change(
    session: SessionDep, limits: LimitsDep, login: RecentLogin, data: EmailChange
) -> None:
    """Mail a link to the new address, which counts once the link is followed, within an hour.

    The answer is the same whether or not the address has an account; the mail tells its reader.
    """
    await recovery.request_email_change(session, limits, login, data)
