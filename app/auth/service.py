"""Accounts and their login sessions: who is signed in, and where.

A token is opaque; only its hash is stored. Every request looks it up together with its user, so a
revoked session, a deactivated or a demoted user is noticed at once.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, update
from sqlmodel import col, select
from structlog.contextvars import bind_contextvars

from app.auth.models import LoginSession
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import PASSWORD_CHECKS, RateLimits, find_network, give_back
from app.auth.schemas import LoginSessionPublic, PasswordChange, SignUp, TokenPublic
from app.database.session import Session
from app.database.statements import Statement
from app.database.transactions import release_connection
from app.mail import service as mail
from app.users import service as users
from app.users.models import User
from app.users.schemas import UserCreate, UserUpdate
from app.users.tokens import hash_token, new_token
from app.web.errors import Forbidden, NotFound, ServiceError, Unauthenticated

IDLE_LIFETIME = timedelta(days=7)
LIFETIME = timedelta(days=30)
RECENT = timedelta(minutes=15)
SESSIONS_PER_USER = 20
_USE_WRITTEN_AFTER = timedelta(minutes=5)  # `last_used_at` is this exact, for far fewer writes
_TOKEN = re.compile(r"ust_[A-Za-z0-9_-]{43}")  # 32 random bytes


class InvalidToken(Unauthenticated):
    """The access token is not valid, or no longer."""

    headers: ClassVar = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class IncorrectPassword(ServiceError):
    """The current password is not correct."""

    status = HTTPStatus.BAD_REQUEST


class RecentLoginRequired(Forbidden):
    """A login of the last 15 minutes is needed; sign in again."""


class SessionNotFound(NotFound):
    """No such login session."""


class Client(NamedTuple):
    """Where a request comes from, for the owner of a login to recognize it, and to limit it."""

    address: str | None
    user_agent: str | None

    @property
    def network(self) -> str:
        return find_network(self.address)


@dataclass(frozen=True, slots=True)
class Login:
    """Who is calling, and with which login session."""

    user: User
    session_id: uuid.UUID
    is_recent: bool


async def sign_up(session: Session, hasher: PasswordHasher, data: SignUp) -> User:
    """Add a user with a password, or raise `PasswordRefused` or `EmailTaken`."""
    about = (data.email, data.full_name)
    hashed_password = await hasher.hash_new(data.password, field="password", about=about)
    new = UserCreate(email=data.email, full_name=data.full_name)
    user = await users.create_user(session, new, hashed_password=hashed_password)
    await mail.enqueue(session, mail.EMAIL_VERIFICATION, user_id=str(user.id))
    return user


_LOCK_USER = Statement[uuid.UUID](
    select(User.id)
    .where(
        User.id == bindparam("user_id"),
        User.hashed_password == bindparam("hashed_password"),
        col(User.is_active),
    )
    .with_for_update(key_share=True)
)


async def lock_user(session: Session, user_id: uuid.UUID, hashed_password: str) -> bool:
    """Lock the user if it is active and still has this password, which was verified meanwhile."""
    values = {"user_id": user_id, "hashed_password": hashed_password}
    return await session.find_one(_LOCK_USER, **values) is not None


async def lock_session(session: Session, session_id: uuid.UUID) -> bool:
    """Lock the login session if it has not been ended meanwhile."""
    mine = select(LoginSession.id).where(LoginSession.id == session_id)
    return (await session.exec(mine.with_for_update(key_share=True))).first() is not None


def is_live() -> ColumnElement[bool]:
    """Return the condition that a login session has not expired."""
    return and_(
        col(LoginSession.expires_at) > func.now(),
        col(LoginSession.last_used_at) > func.now() - IDLE_LIFETIME,
    )


_START_SESSION = Statement[tuple[uuid.UUID, datetime]](
    insert(LoginSession)
    .values({name: bindparam(name) for name in ("user_id", "token_hash", "address", "user_agent")})
    .values(id=func.gen_random_uuid(), expires_at=func.now() + LIFETIME)
    .returning(col(LoginSession.id), col(LoginSession.expires_at))
)
# What has expired, and of the others what was used least recently. Not the newest, though it may
# look older: its instants are those of its transaction's start, and of parallel logins one that
# started first may come last.
_SURPLUS = (
    select(LoginSession.id)
    .where(
        LoginSession.user_id == bindparam("user_id"),
        LoginSession.token_hash != bindparam("newest"),
    )
    .order_by(is_live().desc(), col(LoginSession.last_used_at).desc(), col(LoginSession.id))
    .offset(SESSIONS_PER_USER - 1)
)
_DROP_SURPLUS = Statement[uuid.UUID](
    delete(LoginSession).where(col(LoginSession.id).in_(_SURPLUS)).returning(col(LoginSession.id))
)


async def start_session(session: Session, user_id: uuid.UUID, client: Client) -> TokenPublic:
    """Add a login session, and end those that are one too many."""
    token = new_token("ust")
    values = {"user_id": user_id, "token_hash": hash_token(token), **client._asdict()}
    session_id, expires_at = await session.fetch_one(_START_SESSION, **values)
    bind_contextvars(session_id=str(session_id))
    await session.fetch(_DROP_SURPLUS, user_id=user_id, newest=hash_token(token))
    return TokenPublic(access_token=token, expires_at=expires_at)


_IS_USE_DUE = col(LoginSession.last_used_at) < func.now() - _USE_WRITTEN_AFTER
_FIND_LOGIN = Statement[tuple[User, uuid.UUID, bool, bool]](
    select(
        User,
        LoginSession.id,
        col(LoginSession.authenticated_at) > func.now() - RECENT,
        _IS_USE_DUE,
    )
    .join(LoginSession, col(LoginSession.user_id) == User.id)
    .where(
        LoginSession.token_hash == bindparam("token_hash"),
        is_live(),
        col(User.is_active),
    ),
    User,
)


async def authenticate(session: Session, token: str) -> Login:
    """Return who a token belongs to, or raise `InvalidToken`.

    A token of the wrong form is refused without a query.
    """
    if _TOKEN.fullmatch(token) is None:
        raise InvalidToken
    row = await session.find_one(_FIND_LOGIN, token_hash=hash_token(token))
    if row is None:
        raise InvalidToken
    user, session_id, is_recent, is_use_due = row
    if is_use_due:
        # The condition again: of parallel requests, one writes.
        used = update(LoginSession).where(col(LoginSession.id) == session_id, _IS_USE_DUE)
        await session.exec(used.values(last_used_at=func.now()))
    return Login(user, session_id, is_recent)


async def change_password(
    session: Session,
    hasher: PasswordHasher,
    limits: RateLimits,
    login: Login,
    data: PasswordChange,
) -> None:
    """Set a new password and end all other sessions.

    Raises `TooManyRequests`, `IncorrectPassword` and `PasswordRefused`.
    """
    await release_connection(session)
    user = login.user
    old = user.hashed_password
    guess = PASSWORD_CHECKS.use(user.id)
    await limits.consume(guess)
    if not await hasher.verify(data.current_password, old):
        raise IncorrectPassword
    about = (user.email, user.full_name)
    new = await hasher.hash_new(data.new_password, field="new_password", about=about)
    if not await lock_user(session, user.id, old):
        raise IncorrectPassword
    if not await lock_session(session, login.session_id):
        raise InvalidToken
    mine = update(User).where(col(User.id) == user.id)
    await session.exec(mine.values(hashed_password=new))
    await end_other_sessions(session, login)
    await mail.withdraw_password_links(session, user.id)
    await mail.enqueue(session, "password_changed", user_id=str(user.id), email=user.email)
    await give_back(session, [guess])


async def log_out(session: Session, login: Login) -> None:
    """End the caller's session, or raise `InvalidToken` if another request was faster."""
    try:
        await end_session(session, login, login.session_id)
    except SessionNotFound as error:
        raise InvalidToken from error


async def delete_account(session: Session, login: Login) -> None:
    """Delete the caller; raise `LastSuperuser`, or `InvalidToken` if another request was faster."""
    try:
        await users.delete_user(session, login.user.id)
    except users.UserNotFound as error:
        raise InvalidToken from error


async def list_sessions(session: Session, login: Login) -> Sequence[LoginSessionPublic]:
    """Return the caller's live login sessions, the one used last first."""
    found = await session.exec(
        select(LoginSession)
        .where(LoginSession.user_id == login.user.id, is_live())
        .order_by(col(LoginSession.last_used_at).desc(), col(LoginSession.id))
    )
    return [
        LoginSessionPublic(**each.model_dump(), current=each.id == login.session_id)
        for each in found
    ]


async def end_session(session: Session, login: Login, session_id: uuid.UUID) -> None:
    """End one of the caller's sessions, or raise `SessionNotFound`.

    If it is another's, who may have been a thief, a wanted address is forgotten with it.
    """
    mine = delete(LoginSession).where(col(LoginSession.user_id) == login.user.id)
    ended = await session.exec(mine.where(col(LoginSession.id) == session_id))
    if ended.rowcount == 0:
        raise SessionNotFound
    if session_id != login.session_id:
        await mail.withdraw_email_change(session, login.user.id)


async def end_other_sessions(session: Session, login: Login) -> None:
    """End all but the caller's session, and forget a wanted address."""
    mine = delete(LoginSession).where(col(LoginSession.user_id) == login.user.id)
    await session.exec(mine.where(col(LoginSession.id) != login.session_id))
    await mail.withdraw_email_change(session, login.user.id)


async def end_all_sessions(session: Session, user_id: uuid.UUID) -> None:
    """End every session of a user and forget a wanted address, or raise `UserNotFound`."""
    await users.get_user(session, user_id)
    await session.exec(delete(LoginSession).where(col(LoginSession.user_id) == user_id))
    await mail.withdraw_email_change(session, user_id)


async def administer_user(session: Session, user_id: uuid.UUID, data: UserUpdate) -> User:
    """Change any user; one that is deactivated is signed out everywhere, for good.

    Raises `UserNotFound` and `LastSuperuser`.
    """
    user = await users.administer_user(session, user_id, data)
    if not user.is_active:
        await end_all_sessions(session, user_id)
        await mail.withdraw_password_links(session, user_id)
    return user
