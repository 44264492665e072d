"""Login sessions: who is signed in, where, and until when.

A token is opaque; only its hash is stored.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    Update,
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

from app.auth.limits import find_network
from app.auth.models import LoginSession, is_in_use, is_live
from app.auth.schemas import LoginSessionPublic, TokenPublic
from app.mail import service as mail
from app.users import service as users
from app.users.models import User
from app.users.tokens import hash_token, new_token
from app.web.errors import NotFound, Unauthenticated

LIFETIME = timedelta(days=30)
SESSIONS_PER_USER = 20


class InvalidToken(Unauthenticated):
    """The access token is not valid, or no longer."""

    headers: ClassVar = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


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
    # In a CTE: Citus refuses RETURNING of an INSERT that reads a table by itself.
    allowed = select(User.id).where(User.id == user_id, not_(is_closed)).cte("allowed")
    row = select(*values.values()).select_from(allowed)
    new = insert(LoginSession).from_select([*values], row)
    started = await session.exec(new.returning(col(LoginSession.id), col(LoginSession.expires_at)))
    if (found := started.one_or_none()) is None:
        return None
    session_id, expires_at = found
    bind_contextvars(session_id=str(session_id))
    surplus = _find_surplus(user_id, newest=session_id)
    ended = delete(LoginSession).where(col(LoginSession.id).in_(surplus))
    await session.exec(ended.add_cte(_take_back(user_id).cte("taken_back")))
    return TokenPublic(access_token=token, token_type="bearer", expires_at=expires_at)  # noqa: S106  # the type, not a token


def _take_back(user_id: uuid.UUID) -> Update:
    """Activate a user again that its owner has deleted, and who now signs in."""
    leaving = update(User).where(col(User.id) == user_id, col(User.deletion_due_at) > func.now())
    return leaving.values(is_active=True, deletion_due_at=None)


def _find_surplus(user_id: uuid.UUID, *, newest: uuid.UUID) -> SelectOfScalar[uuid.UUID]:
    """Select what has expired, and of the others what was used least recently.

    What is in use stays before all that was only begun: when it was used last is not known so
    exactly that a row of logins could not push it out. Not the newest, though it may look older: of
    parallel logins, one that started first may come last.
    """
    others = (
        select(LoginSession.id, LoginSession.created_at, LoginSession.last_used_at)
        .where(LoginSession.user_id == user_id, LoginSession.id != newest)
        # The clock is read here, and not in CASE.
        .add_columns(is_live().label("is_live"), is_in_use().label("is_in_use"))
        .subquery()
        .c
    )
    since = case((others.is_in_use, others.created_at))
    kept_first = (others.is_live.desc(), since.nulls_last(), others.last_used_at.desc(), others.id)
    return select(others.id).order_by(*kept_first).offset(SESSIONS_PER_USER - 1)


async def lock_session(session: AsyncSession, session_id: uuid.UUID) -> bool:
    """Lock the login session if it has not been ended meanwhile."""
    mine = select(LoginSession.id).where(LoginSession.id == session_id)
    return (await session.exec(mine.with_for_update(key_share=True))).first() is not None


async def list_sessions(session: AsyncSession, login: Login) -> Sequence[LoginSessionPublic]:
    """Return the caller's live login sessions, the one used last first."""
    return [
        LoginSessionPublic(**each.model_dump(), current=each.id == login.session_id)
        for each in await list_user_sessions(session, login.user.id)
    ]


async def list_user_sessions(session: AsyncSession, user_id: uuid.UUID) -> Sequence[LoginSession]:
    """Return a user's live login sessions, the one used last first."""
    mine = select(LoginSession).where(LoginSession.user_id == user_id, is_live())
    used_last = (col(LoginSession.last_used_at).desc(), col(LoginSession.id))
    return list(await session.exec(mine.order_by(*used_last)))


async def log_out(session: AsyncSession, login: Login) -> None:
    """End the caller's session, or raise `InvalidToken` if another request was faster."""
    try:
        await end_session(session, login, login.session_id)
    except SessionNotFound as error:
        raise InvalidToken from error


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
