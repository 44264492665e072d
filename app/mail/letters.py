"""What each kind of mail says, and to whom: decided when it is sent, by what holds then."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import (
    EMAIL_CHANGE,
    EMAIL_VERIFICATION,
    INVITATION,
    PASSWORD_RESET,
    Proof,
    mint_token,
)
from app.users import service as users
from app.users.models import User
from app.web.languages import find_known
from app.web.schemas import find_canonical_email

Payload = Mapping[str, Any]


class Letter(NamedTuple):
    """A mail to be written: its template, and the values of that.

    Nothing in it is a stranger's text, such as the name somebody has signed up with: anyone could
    mail it to anyone in the service's name.
    """

    template: str
    to: str
    values: Payload
    user_id: uuid.UUID | None = None
    language: str | None = None
    """What the recipient has chosen; else it is that of the request which has caused the mail."""


Writer = Callable[[AsyncSession, str, Payload], Awaitable[Letter | None]]


async def write_letter(session: AsyncSession, kind: str, payload: Payload) -> Letter | None:
    """Return what is to be sent, with a token minted for it; None if nobody is to get it.

    What is no link or invitation is a notice, and needs a template of its name alone.
    """
    letter = await WRITERS.get(kind, _write_notice)(session, kind, payload)
    return letter and letter._replace(
        language=find_known(letter.language) or payload.get("language")
    )


async def _write_password_reset(
    session: AsyncSession, kind: str, payload: Payload
) -> Letter | None:
    # None if what was typed is no address: the request has answered as for any other.
    user = await users.find_user_by_email(session, payload["email"] or "")
    if user is None or not user.is_active:
        return None
    return await _write_link(session, kind, user, user.email)


async def _write_invitation(session: AsyncSession, kind: str, payload: Payload) -> Letter | None:
    user = await find_active_user(session, payload)
    if user is None or user.hashed_password != users.NO_PASSWORD:
        return None
    return await _write_link(session, kind, user, user.email)


async def _write_email_verification(
    session: AsyncSession, kind: str, payload: Payload
) -> Letter | None:
    user = await find_active_user(session, payload)
    if user is None or user.email_verified_at is not None:
        return None
    return await _write_link(session, kind, user, user.email)


async def _write_email_change(session: AsyncSession, kind: str, payload: Payload) -> Letter | None:
    user = await find_active_user(session, payload)
    email = find_canonical_email(payload["email"])  # an older release had another form
    if user is None or email is None or email == user.email:
        return None
    if owner := await users.find_user_by_email(session, email):
        # Only who reads that mailbox learns that it has an account.
        return Letter("email_taken", email, {}, user.id, owner.language)
    return await _write_link(session, kind, user, email)


async def _write_notice(session: AsyncSession, kind: str, payload: Payload) -> Letter | None:
    """Tell what has happened, to the address that the account had then, where that is known.

    Nothing is told to an address that nobody has confirmed: it may be a stranger's, whom whoever
    signed up with it could flood by signing in over and over.
    """
    user = await session.get(User, uuid.UUID(payload["user_id"]))
    if user is None or user.email_verified_at is None:
        return None
    return Letter(kind, payload.get("email", user.email), payload, user.id, user.language)


async def find_active_user(session: AsyncSession, payload: Payload) -> User | None:
    user = await session.get(User, uuid.UUID(payload["user_id"]))
    return user if user and user.is_active else None


async def _write_link(session: AsyncSession, purpose: str, user: User, email: str) -> Letter:
    token = await mint_token(session, Proof(user.id, purpose, email))
    return Letter(purpose, email, {"token": token}, user.id, user.language)


WRITERS: Final[dict[str, Writer]] = {
    PASSWORD_RESET: _write_password_reset,
    INVITATION: _write_invitation,
    EMAIL_VERIFICATION: _write_email_verification,
    EMAIL_CHANGE: _write_email_change,
}
