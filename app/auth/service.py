"""Accounts and their login sessions: who is signed in, and where.

A token is opaque; only its hash is stored. Every request looks it up together with its user, so a
revoked session, a deactivated or a demoted user is noticed at once.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    update,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar
from structlog.contextvars import bind_contextvars

from app.auth.lookup import IS_USE_DUE, find_login
from app.auth.models import LoginSession, is_in_use, is_live
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import PASSWORD_CHECKS, RateLimits, find_network, give_back
from app.auth.schemas import LoginSessionPublic, PasswordChange, SignUp, TokenPublic
from app.database.transactions import Database, attach
from app.mail import service as mail
from app.users import service as users
from app.users.models import User
from app.users.schemas import UserCreate, UserUpdate
from app.users.tokens import hash_token, new_token
from app.web.errors import Forbidden, NotFound, ServiceError, Unauthenticated

LIFETIME = timedelta(days=30)
SESSIONS_PER_USER = 20
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
    is_strong: bool
    """Whether more than a password was asked."""


async def sign_up(session: AsyncSession, hasher: PasswordHasher, data: SignUp) -> User:
    """Add a user with a password, or raise `PasswordRefused` or `EmailTaken`."""
    about = (data.email, data.full_name)
    hashed_password = await hasher.hash_new(data.password, field="password", about=about)
    new = UserCreate(**data.model_dump(exclude={"password"}))
    user = await users.create_user(session, new, hashed_password=hashed_password)
    await mail.enqueue(session, mail.EMAIL_VERIFICATION, user_id=str(user.id))
    return user


async def lock_user(session: AsyncSession, user_id: uuid.UUID, hashed_password: str) -> bool:
    """Lock the user if it is active and still has this password, which was verified meanwhile."""
    mine = select(User.id).where(
        User.id == user_id, User.hashed_password == hashed_password, col(User.is_active)
    )
    return (await session.exec(mine.with_for_update(key_share=True))).first() is not None


async def lock_session(session: AsyncSession, session_id: uuid.UUID) -> bool:
    """Lock the login session if it has not been ended meanwhile."""
    mine = select(LoginSession.id).where(LoginSession.id == session_id)
    return (await session.exec(mine.with_for_update(key_share=True))).first() is not None


async def start_session(
    session: AsyncSession, user_id: uuid.UUID, client: Client, *, is_strong: bool = False
) -> TokenPublic:
    """Add a login session, and end those that are one too many."""
    token = await start_session_unless(session, false(), user_id, client, is_strong=is_strong)
    if token is None:
        raise InvalidToken  # the user has been deleted
    return token


async def start_session_unless(
    session: AsyncSession,
    is_closed: ColumnElement[bool],
    user_id: uuid.UUID,
    client: Client,
    *,
    is_strong: bool = False,
) -> TokenPublic | None:
    """Do so unless the condition holds of the user; judged by the same statement, it cannot change.

    Whoever changes what it is about locks the user too.
    """
    token = new_token("ust")
    values: dict[str, ColumnElement[Any]] = {
        "id": literal(uuid.uuid4()),
        "user_id": literal(user_id),
        "token_hash": literal(hash_token(token)),
        "expires_at": func.now() + LIFETIME,
        "is_strong": literal(is_strong),
        **{name: literal(value, String) for name, value in client._asdict().items()},
    }
    row = select(*values.values()).where(User.id == user_id, not_(is_closed))
    new = insert(LoginSession).from_select([*values], row)
    started = await session.exec(new.returning(col(LoginSession.id), col(LoginSession.expires_at)))
    if (found := started.one_or_none()) is None:
        return None
    session_id, expires_at = found
    bind_contextvars(session_id=str(session_id))
    surplus = _find_surplus(user_id, newest=session_id)
    await session.exec(delete(LoginSession).where(col(LoginSession.id).in_(surplus)))
    return TokenPublic(access_token=token, token_type="bearer", expires_at=expires_at)  # noqa: S106  # the type, not a token


def _find_surplus(user_id: uuid.UUID, *, newest: uuid.UUID) -> SelectOfScalar[uuid.UUID]:
    """Select what has expired, and of the others what was used least recently.

    What is in use stays before all that was only begun: when it was used last is not known so
    exactly that a row of logins could not push it out. Not the newest, though it may look older:
    its instants are those of its transaction's start, and of parallel logins one that started first
    may come last.
    """
    others = select(LoginSession.id).where(
        LoginSession.user_id == user_id, LoginSession.id != newest
    )
    since = case((is_in_use(), col(LoginSession.created_at)))
    used_last = (col(LoginSession.last_used_at).desc(), col(LoginSession.id))
    kept_first = (is_live().desc(), since.nulls_last(), *used_last)
    return others.order_by(*kept_first).offset(SESSIONS_PER_USER - 1)


async def authenticate(session: AsyncSession, database: Database, token: str) -> Login:
    """Return who a token belongs to, or raise `InvalidToken`.

    A token of the wrong form is refused without a query. The user belongs to the session, which has
    sent nothing: the route's transaction begins with the route's first statement.
    """
    if _TOKEN.fullmatch(token) is None:
        raise InvalidToken
    found = await find_login(database, hash_token(token))
    if found is None:
        raise InvalidToken
    if found.is_use_due:
        # The condition again: of parallel requests, one writes.
        used = update(LoginSession).where(col(LoginSession.id) == found.session_id, IS_USE_DUE)
        async with database.connect() as connection:
            await connection.execute(used.values(last_used_at=func.now()))
    user = attach(session, found.user)
    return Login(user, found.session_id, found.is_recent, found.is_strong)


async def change_password(
    session: AsyncSession,
    hasher: PasswordHasher,
    limits: RateLimits,
    login: Login,
    data: PasswordChange,
) -> None:
    """Set a new password and end all other sessions.

    Raises `TooManyRequests`, `IncorrectPassword` and `PasswordRefused`.
    """
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


async def log_out(session: AsyncSession, login: Login) -> None:
    """End the caller's session, or raise `InvalidToken` if another request was faster."""
    try:
        await end_session(session, login, login.session_id)
    except SessionNotFound as error:
        raise InvalidToken from error


async def delete_account(session: AsyncSession, login: Login) -> None:
    """Delete the caller; raise `LastSuperuser`, or `InvalidToken` if another request was faster."""
    try:
        await users.delete_user(session, login.user.id)
    except users.UserNotFound as error:
        raise InvalidToken from error


async def list_sessions(session: AsyncSession, login: Login) -> Sequence[LoginSessionPublic]:
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


async def end_session(session: AsyncSession, login: Login, session_id: uuid.UUID) -> None:
    """End one of the caller's sessions, or raise `SessionNotFound`.

    If it is another's, who may have been a thief, a wanted address is forgotten with it.
    """
    mine = delete(LoginSession).where(col(LoginSession.user_id) == login.user.id)
    ended = await session.exec(mine.where(col(LoginSession.id) == session_id))
    if ended.rowcount == 0:
        raise SessionNotFound
    if session_id != login.session_id:
        await mail.withdraw_email_change(session, login.user.id)


async def end_other_sessions(session: AsyncSession, login: Login) -> None:
    """End all but the caller's session, and forget a wanted address."""
    mine = delete(LoginSession).where(col(LoginSession.user_id) == login.user.id)
    await session.exec(mine.where(col(LoginSession.id) != login.session_id))
    await mail.withdraw_email_change(session, login.user.id)


async def end_all_sessions(session: AsyncSession, user_id: uuid.UUID) -> None:
    """End every session of a user and forget a wanted address, or raise `UserNotFound`."""
    await users.get_user(session, user_id)
    await session.exec(delete(LoginSession).where(col(LoginSession.user_id) == user_id))
    await mail.withdraw_email_change(session, user_id)


async def administer_user(session: AsyncSession, user_id: uuid.UUID, data: UserUpdate) -> User:
    """Change any user; one that is deactivated is signed out everywhere, for good.

    Raises `UserNotFound` and `LastSuperuser`.
    """
    user = await users.administer_user(session, user_id, data)
    if not user.is_active:
        await end_all_sessions(session, user_id)
        await mail.withdraw_password_links(session, user_id)
    return user
