"""What the application can do with users.

Functions take the session first, flush when they need the database's answer, and never commit.
"""

import uuid
from collections.abc import Collection
from typing import Final

from sqlalchemy import delete, not_
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar
from structlog.contextvars import bind_contextvars

from app.database.errors import violates
from app.database.search import find_each, find_some, find_words
from app.users.models import SEARCHED, User
from app.users.permissions import SuperuserRequired
from app.users.schemas import UserCreate, UserQuery, UserUpdate, UserUpdateMe
from app.web.errors import Conflict, NotFound
from app.web.pagination import Page, get_page
from app.web.schemas import find_canonical_email

NO_PASSWORD = "!"  # noqa: S105  # no hash looks like this, so nothing matches it


_STATES: Final = {
    "active": col(User.is_active),
    "deactivated": not_(col(User.is_active)),
    "unverified": col(User.email_verified_at).is_(None),
    "superuser": col(User.is_superuser),
}


class EmailTaken(Conflict):
    """Another user already has this e-mail address."""


class UserNotFound(NotFound):
    """No user has this id."""


class LastSuperuser(Conflict):
    """No active superuser would be left; make another one first."""


async def create_user(
    session: AsyncSession, data: UserCreate, *, hashed_password: str = NO_PASSWORD
) -> User:
    """Add a user, or raise `EmailTaken`."""
    user = User(**data.model_dump(), hashed_password=hashed_password)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "ix_user_email"):
            raise EmailTaken from error
        raise
    bind_contextvars(created_user_id=str(user.id))
    return user


async def get_user(session: AsyncSession, user_id: uuid.UUID) -> User:
    """Return the user, or raise `UserNotFound`."""
    user = await session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user


async def find_user_by_email(session: AsyncSession, email: str) -> User | None:
    """Find a user by the canonical form of an address."""
    return (await session.exec(select(User).where(User.email == email))).one_or_none()


async def find_emails(
    session: AsyncSession, user_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return the addresses of those of the users who are still there."""
    found = select(User.id, User.email).where(col(User.id).in_(user_ids))
    return dict((await session.exec(found)).all())


async def list_users(
    session: AsyncSession, query: UserQuery, among: SelectOfScalar[uuid.UUID] | None = None
) -> Page[User]:
    """Return a page of users, newest first, in whose address or name each word begins one.

    An address that somebody has finds nobody else. `among` selects the ids of those who count.
    """
    states = [_STATES[query.state]] if query.state else []
    if among is not None and not states and query.search is None:
        return await get_page(session, select(User), query, found=find_each(User, among))
    if among is not None:
        states.append(col(User.id).in_(among))
    matching = select(User).where(*states)
    if query.search is None:
        found = None if among is None else find_some(User, *states)
        return await get_page(session, matching, query, found=found)
    email = find_canonical_email(query.search)
    if email and (known := list(await session.exec(matching.where(col(User.email) == email)))):
        return Page(known)
    found = find_words(User, SEARCHED, query.search, *states)
    return await get_page(session, matching, query, found=found)


async def update_user(session: AsyncSession, user: User, data: UserUpdateMe) -> User:
    """Change the fields that were sent."""
    user.sqlmodel_update(data.model_dump(exclude_unset=True))
    await session.flush()
    return user


async def administer_user(
    session: AsyncSession, caller: User, user_id: uuid.UUID, data: UserUpdate
) -> User:
    """Change any user, or raise `SuperuserRequired`, `UserNotFound` or `LastSuperuser`."""
    refuse_promotion(caller, data)
    sent = data.model_dump(include={"is_active", "is_superuser"}, exclude_unset=True)
    bind_contextvars(**sent)
    if data.is_superuser is False or data.is_active is False:
        await keep_another_superuser(session, user_id)
    user = await get_user(session, user_id)
    if "is_active" in sent:  # what its owner has wanted is over
        user.deletion_due_at = None
    return await update_user(session, user, data)


def refuse_promotion(caller: User, data: UserCreate | UserUpdate) -> None:
    """Raise `SuperuserRequired` if somebody who is none is about to make a superuser."""
    if data.is_superuser is True and not caller.is_superuser:
        raise SuperuserRequired


async def delete_user(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Delete a user with all it has, or raise `UserNotFound` or `LastSuperuser`."""
    await keep_another_superuser(session, user_id)
    deleted = await session.exec(delete(User).where(col(User.id) == user_id))
    if deleted.rowcount == 0:
        raise UserNotFound


async def keep_another_superuser(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Raise `LastSuperuser` if the user is the only one.

    All superusers are locked, in one order, so that of two requests that each take away one of
    the last two the second waits, and then sees what the first has left.
    """
    superusers = select(User.id).where(
        # Not one who was invited and has no password yet: the address may be wrong.
        col(User.is_superuser),
        col(User.is_active),
        User.hashed_password != NO_PASSWORD,
    )
    locked = list(
        await session.exec(superusers.order_by(col(User.id)).with_for_update(key_share=True))
    )
    if locked == [user_id]:
        raise LastSuperuser
