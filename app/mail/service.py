"""Mail: what is put into the outbox, and the tokens that its links and codes carry.

A token proves that its bearer reads the mail of an address. Only its hash is stored; the worker
mints it when it sends the mail, so that no row of the outbox ever holds one.
"""

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final, NamedTuple

from pydantic import Secret
from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import EmailToken, Outbox
from app.users.tokens import hash_token, new_token
from app.web.errors import ServiceError
from app.web.languages import DEFAULT, SPOKEN

PASSWORD_RESET: Final = "password_reset"  # noqa: S105  # a kind of mail, as are those below
INVITATION: Final = "invitation"
EMAIL_VERIFICATION: Final = "email_verification"
EMAIL_CHANGE: Final = "email_change"
# How long a link works once it was sent; each of these kinds carries one.
LIFETIMES: Final = {
    PASSWORD_RESET: timedelta(minutes=30),
    INVITATION: timedelta(days=7),
    EMAIL_VERIFICATION: timedelta(hours=24),
    EMAIL_CHANGE: timedelta(minutes=60),
}


class InvalidToken(ServiceError):
    """The link or code is not valid, or no longer; ask for a new one."""


class Proof(NamedTuple):
    """What a token stands for: this user reads the mail of this address."""

    user_id: uuid.UUID
    purpose: str
    email: str


async def enqueue(session: AsyncSession, kind: str, **payload: Any) -> None:
    """Have a mail sent once this transaction is committed; the worker makes its text."""
    session.add(Outbox(kind=kind, payload=_speak(session, payload)))
    await session.flush()


async def enqueue_after(session: AsyncSession, delay: timedelta, kind: str, **payload: Any) -> None:
    """Have a mail sent some time after this transaction is committed."""
    new = insert(Outbox).values(id=uuid.uuid4(), kind=kind, payload=_speak(session, payload))
    await session.exec(new.values(run_at=func.now() + delay))


def _speak(session: AsyncSession, payload: dict[str, Any]) -> dict[str, Any]:
    """Note the language of the request, for a recipient who has chosen none."""
    language = session.info.get(SPOKEN, DEFAULT)
    return payload if language == DEFAULT else payload | {"language": language}


async def mint_token(session: AsyncSession, proof: Proof, lifetime: timedelta | None = None) -> str:
    """Return a new token; the user's earlier one of this purpose is worth nothing any more."""
    token = new_token("uml")
    new = insert(EmailToken).values(
        **proof._asdict(),
        token_hash=hash_token(token),
        expires_at=func.now() + (lifetime or LIFETIMES[proof.purpose]),
    )
    names = ("token_hash", "email", "created_at", "expires_at")
    replaced = {name: new.excluded[name] for name in names}
    await session.exec(
        new.on_conflict_do_update(index_elements=["user_id", "purpose"], set_=replaced)
    )
    return token


async def get_proof(session: AsyncSession, token: Secret[str], purposes: Collection[str]) -> Proof:
    """Return what a token stands for, and leave it usable; raise `InvalidToken`."""
    found = await session.exec(
        select(EmailToken.user_id, EmailToken.purpose, EmailToken.email).where(
            EmailToken.token_hash == hash_token(token.get_secret_value()),
            col(EmailToken.purpose).in_(purposes),
            col(EmailToken.expires_at) > func.now(),
        )
    )
    row = found.one_or_none()
    if row is None:
        raise InvalidToken
    return Proof(*row)


async def consume_token(session: AsyncSession, token: Secret[str]) -> None:
    """Use a token up, or raise `InvalidToken`: of parallel requests with it, one gets past."""
    live = delete(EmailToken).where(
        col(EmailToken.token_hash) == hash_token(token.get_secret_value()),
        col(EmailToken.expires_at) > func.now(),
    )
    consumed = await session.exec(live.returning(col(EmailToken.user_id)))
    if consumed.one_or_none() is None:
        raise InvalidToken


async def withdraw_email_change(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Forget a wanted address: its link, and the mail where that was not sent yet.

    A link to verify the address may stay: it stops by itself when the address is another.
    """
    await withdraw(session, user_id, EMAIL_CHANGE)


async def withdraw(session: AsyncSession, user_id: uuid.UUID, kind: str) -> None:
    """Forget a mail that was not sent yet, and the link of one that was."""
    # The outbox first: a worker that is minting the token right now holds the row until it is done.
    await session.exec(
        delete(Outbox).where(
            col(Outbox.sent_at).is_(None),
            col(Outbox.kind) == kind,
            col(Outbox.payload)["user_id"].as_string() == str(user_id),
        )
    )
    await _delete_tokens(session, user_id, [kind])


async def withdraw_password_links(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Make every link worthless that sets a password."""
    await _delete_tokens(session, user_id, [PASSWORD_RESET, INVITATION])


async def _delete_tokens(
    session: AsyncSession, user_id: uuid.UUID, purposes: Collection[str]
) -> None:
    mine = delete(EmailToken).where(col(EmailToken.user_id) == user_id)
    await session.exec(mine.where(col(EmailToken.purpose).in_(purposes)))
