"""Accounts: who signs up and who is calling, and what changes both.

Every request looks its token up together with the user, so a revoked session, a deactivated or a
demoted user is noticed at once.
"""

import re
import uuid
from http import HTTPStatus

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.limits import PASSWORD_CHECKS
from app.auth.lookup import IS_USE_DUE, find_login
from app.auth.models import LoginSession
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import RateLimits, give_back
from app.auth.schemas import PasswordChange, SignUp
from app.auth.sessions import (
    InvalidToken,
    Login,
    end_all_sessions,
    end_other_sessions,
    lock_session,
)
from app.database.transactions import Database, attach
from app.mail import service as mail
from app.users import service as users
from app.users.models import User, may_sign_in
from app.users.schemas import UserCreate, UserUpdate
from app.users.tokens import hash_token
from app.web.errors import Forbidden, ServiceError

_TOKEN = re.compile(r"ust_[A-Za-z0-9_-]{43}")  # 32 random bytes


class IncorrectPassword(ServiceError):
    """The current password is not correct."""

    status = HTTPStatus.BAD_REQUEST


class RecentLoginRequired(Forbidden):
    """A login of the last 15 minutes is needed; sign in again."""


async def sign_up(session: AsyncSession, hasher: PasswordHasher, data: SignUp) -> User:
    """Add a user with a password, or raise `PasswordRefused` or `EmailTaken`."""
    about = (data.email, data.full_name)
    hashed_password = await hasher.hash_new(data.password, field="password", about=about)
    new = UserCreate(**data.model_dump(exclude={"password"}))
    user = await users.create_user(session, new, hashed_password=hashed_password)
    await mail.enqueue(session, mail.EMAIL_VERIFICATION, user_id=str(user.id))
    return user


async def lock_user(session: AsyncSession, user_id: uuid.UUID, hashed_password: str) -> bool:
    """Lock the user if it may sign in and still has this password, verified meanwhile."""
    mine = select(User.id).where(
        User.id == user_id, User.hashed_password == hashed_password, may_sign_in()
    )
    return (await session.exec(mine.with_for_update(key_share=True))).first() is not None


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


async def administer_user(
    session: AsyncSession, caller: User, user_id: uuid.UUID, data: UserUpdate
) -> User:
    """Change any user; one that is deactivated is signed out everywhere, for good.

    Raises `SuperuserRequired`, `UserNotFound` and `LastSuperuser`.
    """
    user = await users.administer_user(session, caller, user_id, data)
    if not user.is_active:
        await end_all_sessions(session, user_id)
        await mail.withdraw_password_links(session, user_id)
    return user
