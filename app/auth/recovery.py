"""What goes through a mailbox: a forgotten password, an invitation, a verified or new address.

Requests only put a mail into the outbox. What depends on whether an account exists is decided
when the mail is sent, so that neither an answer nor its time can tell.
"""

import uuid
from typing import Final

from pydantic import Secret
from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import bind_contextvars

from app.auth.limits import ADDRESS_CHANGES, LINKS_PER_MAILBOX, PER_NETWORK, Use, find_mailbox
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import RateLimits
from app.auth.schemas import EmailChange, EmailConfirmation, PasswordReset, PasswordResetRequest
from app.auth.sessions import Client, InvalidToken, Login, end_all_sessions, lock_session
from app.database.errors import violates
from app.database.transactions import release_connection
from app.mail import service as mail
from app.users import service as users
from app.users.models import User
from app.users.schemas import UserCreate
from app.web.schemas import find_canonical_email

_PASSWORD_PURPOSES: Final = (mail.PASSWORD_RESET, mail.INVITATION)
_EMAIL_PURPOSES: Final = (mail.EMAIL_VERIFICATION, mail.EMAIL_CHANGE)


async def request_password_reset(
    session: AsyncSession, limits: RateLimits, client: Client, data: PasswordResetRequest
) -> None:
    """Have a link sent to set a new password, if an active user has this address.

    Raises `TooManyRequests`, whether or not one has.
    """
    email = find_canonical_email(data.email)
    mailbox = _limit(mail.PASSWORD_RESET, email or data.email)
    await limits.consume(PER_NETWORK.use(client.network), mailbox)
    await mail.enqueue(session, mail.PASSWORD_RESET, email=email)


async def reset_password(
    session: AsyncSession, hasher: PasswordHasher, data: PasswordReset
) -> None:
    """Set a password and end all sessions, or raise `InvalidToken` or `PasswordRefused`.

    Whoever reads the mail of the address has shown it thereby, so it is verified too.
    """
    proof = await mail.get_proof(session, data.token, _PASSWORD_PURPOSES)
    owner = await session.get(User, proof.user_id)
    if owner is None:
        raise mail.InvalidToken
    about = (owner.email, owner.full_name)
    await release_connection(session)  # none is held while the password is hashed
    hashed_password = await hasher.hash_new(data.new_password, field="new_password", about=about)
    user = await redeem(session, data.token, proof)
    if user.email != proof.email:
        raise mail.InvalidToken
    verified = {} if user.email_verified_at else {"email_verified_at": func.now()}
    await _change(session, user, hashed_password=hashed_password, **verified)
    await _end_access(session, user)
    await mail.enqueue(session, "password_changed", user_id=str(user.id), email=user.email)


async def request_email_verification(session: AsyncSession, limits: RateLimits, user: User) -> None:
    """Have a link sent that verifies the user's address, unless it is; or `TooManyRequests`."""
    if user.email_verified_at is None:
        await limits.consume(_limit(mail.EMAIL_VERIFICATION, user.email))
        await mail.enqueue(session, mail.EMAIL_VERIFICATION, user_id=str(user.id))


async def request_email_change(
    session: AsyncSession, limits: RateLimits, login: Login, data: EmailChange
) -> None:
    """Have a link sent to the new address, which replaces the old one when it is followed.

    Raises `TooManyRequests`.
    """
    uses = ADDRESS_CHANGES.use(login.user.id), _limit(mail.EMAIL_CHANGE, data.new_email)
    await limits.consume(*uses)
    if not await lock_session(session, login.session_id):  # it may have been ended meanwhile
        raise InvalidToken
    await mail.withdraw_email_change(session, login.user.id)
    await mail.enqueue(session, mail.EMAIL_CHANGE, user_id=str(login.user.id), email=data.new_email)


async def confirm_email(
    session: AsyncSession, login: Login | None, data: EmailConfirmation
) -> str | None:
    """Verify an address, or put the new one in place of the old; `InvalidToken`, `EmailTaken`.

    Who is not signed in to the account gets it alone, as its sessions and its password may be those
    of a stranger who has given this address: they end, and the code to choose another password is
    returned.
    """
    proof = await mail.get_proof(session, data.token, _EMAIL_PURPOSES)
    user = await redeem(session, data.token, proof)
    is_own = login is not None and login.user.id == user.id
    password = {} if is_own else {"hashed_password": users.NO_PASSWORD}
    if proof.purpose == mail.EMAIL_CHANGE:
        await _change_email(session, user, proof.email, **password)
    elif user.email != proof.email:
        raise mail.InvalidToken
    elif user.email_verified_at is not None:  # by a new password, meanwhile
        return None
    else:
        await _change(session, user, email_verified_at=func.now(), **password)
    if is_own:
        return None
    await _end_access(session, user)
    return await mail.mint_token(session, proof._replace(purpose=mail.PASSWORD_RESET))


async def invite_user(session: AsyncSession, caller: User, data: UserCreate) -> User:
    """Add a user, who gets a link to choose a password; `SuperuserRequired`, `EmailTaken`."""
    users.refuse_promotion(caller, data)
    user = await users.create_user(session, data)
    await mail.enqueue(session, mail.INVITATION, user_id=str(user.id))
    return user


async def mail_password_link(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Have a link sent to a user to choose a password, or raise `UserNotFound`."""
    user = await users.get_user(session, user_id)
    if user.hashed_password == users.NO_PASSWORD:
        await mail.enqueue(session, mail.INVITATION, user_id=str(user.id))
    else:
        await mail.enqueue(session, mail.PASSWORD_RESET, email=user.email)


def _limit(kind: str, email: str) -> Use:
    return LINKS_PER_MAILBOX.use(kind, find_mailbox(email))


async def redeem(session: AsyncSession, token: Secret[str], proof: mail.Proof) -> User:
    """Use the token up; its user is locked first, as in everything that ends sessions."""
    user = await session.get(
        User, proof.user_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if user is None or not user.is_active:
        raise mail.InvalidToken
    await mail.consume_token(session, token)
    bind_contextvars(owner_id=str(user.id))
    return user


async def _change_email(session: AsyncSession, user: User, email: str, **password: str) -> None:
    old = user.email
    try:
        await _change(session, user, email=email, email_verified_at=func.now(), **password)
    except IntegrityError as error:
        if violates(error, "ix_user_email"):
            raise users.EmailTaken from error
        raise
    await _end_access(session, user)
    await mail.enqueue(session, "email_changed", user_id=str(user.id), email=old)


async def _change(session: AsyncSession, user: User, **values: object) -> None:
    await session.exec(update(User).where(col(User.id) == user.id).values(**values))


async def _end_access(session: AsyncSession, user: User) -> None:
    await end_all_sessions(session, user.id)
    await mail.withdraw_password_links(session, user.id)
