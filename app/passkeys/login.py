"""Signing in with a passkey: in place of a password, or after it."""

import uuid
from collections.abc import Sequence
from hashlib import sha256
from typing import ClassVar

import structlog
from pydantic import Secret
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import bind_contextvars

from app.auth.limits import PER_NETWORK
from app.auth.login import remember_device
from app.auth.rate_limit import RateLimits, give_back
from app.auth.schemas import TokenPublic
from app.auth.sessions import Client, start_session
from app.passkeys.ceremonies import (
    CounterWentBack,
    Credential,
    InvalidResponse,
    RelyingParty,
    read_id,
    read_user_handle,
)
from app.passkeys.factor import list_credential_ids
from app.passkeys.models import Passkey
from app.passkeys.schemas import (
    PasskeyChallengeAnswer,
    PasskeyLogin,
    PasskeyOptions,
    PasskeySecondStep,
)
from app.passkeys.service import make_challenge, use_challenge
from app.second_factors.login import (
    find_half_login,
    finish,
    limit_half_login,
    lock_half_login,
    refuse,
)
from app.second_factors.reset import withdraw_reset
from app.users.models import User, may_sign_in
from app.web.errors import Unauthenticated

log = structlog.get_logger()


class PasskeyRefused(Unauthenticated):
    """The passkey is not valid here, or was not asked for; start again."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


async def start_login(
    session: AsyncSession, limits: RateLimits, relying_party: RelyingParty, client: Client
) -> PasskeyOptions:
    """Return what any passkey is to sign; raise `TooManyRequests`."""
    await limits.consume(PER_NETWORK.use(client.network))
    challenge = await make_challenge(session)
    options = relying_party.ask_for_signature([], challenge, verifies_user=True)
    return PasskeyOptions(options=options)


async def log_in(
    session: AsyncSession,
    limits: RateLimits,
    relying_party: RelyingParty,
    client: Client,
    data: PasskeyLogin,
) -> TokenPublic:
    """Start a login session of whose passkey it is; raise `PasskeyRefused`, `TooManyRequests`."""
    use = PER_NETWORK.use(client.network)
    await limits.consume(use)
    try:
        challenge = await use_challenge(session, data.credential)
        user_id = uuid.UUID(bytes=read_user_handle(data.credential))
        await _lock_user(session, user_id)
        await _check(session, relying_party, data.credential, (user_id, challenge), verifies=True)
    except (InvalidResponse, ValueError) as error:
        raise PasskeyRefused from error
    token = await start_session(session, user_id, client, is_strong=True)
    await remember_device(session, user_id, client)
    await withdraw_reset(session, user_id)
    bind_contextvars(user_id=str(user_id), second_factor="passkey")
    await give_back(session, [use])
    return token


async def start_second_step(
    session: AsyncSession,
    limits: RateLimits,
    relying_party: RelyingParty,
    client: Client,
    data: PasskeyChallengeAnswer,
) -> PasskeyOptions:
    """Return what one of the user's passkeys is to sign; raise `InvalidChallenge`."""
    half = await find_half_login(limits, data.challenge, client)
    known: Sequence[bytes] = await list_credential_ids(session, half.user_id)
    challenge = derive_challenge(data.challenge)
    options = relying_party.ask_for_signature(known, challenge, verifies_user=False)
    return PasskeyOptions(options=options)


async def complete_login(
    session: AsyncSession,
    limits: RateLimits,
    relying_party: RelyingParty,
    client: Client,
    data: PasskeySecondStep,
) -> TokenPublic:
    """Start the login session that a password has asked for; raise `PasskeyRefused` as well."""
    half = await limit_half_login(limits, await find_half_login(limits, data.challenge, client))
    await lock_half_login(session, half)
    asked = (half.user_id, derive_challenge(data.challenge))
    try:
        await _check(session, relying_party, data.credential, asked, verifies=False)
    except InvalidResponse as error:
        await refuse(session, limits, half)
        raise PasskeyRefused from error
    return await finish(session, half, "passkey")


async def _lock_user(session: AsyncSession, user_id: uuid.UUID) -> None:
    mine = select(User.id).where(User.id == user_id, may_sign_in())
    if (await session.exec(mine.with_for_update(key_share=True))).first() is None:
        raise InvalidResponse


async def _check(
    session: AsyncSession,
    relying_party: RelyingParty,
    credential: Credential,
    asked: tuple[uuid.UUID, bytes],
    *,
    verifies: bool,
) -> None:
    """Note the use of the user's passkey, or raise `InvalidResponse`."""
    user_id, challenge = asked
    mine = select(Passkey).where(Passkey.user_id == user_id)
    used = mine.where(Passkey.credential_id == read_id(credential)).with_for_update()
    passkey = (await session.exec(used)).one_or_none()
    if passkey is None:
        raise InvalidResponse
    try:
        said = relying_party.check_signature(credential, challenge, passkey, verifies_user=verifies)
    except CounterWentBack:
        warn_of_copy(passkey)
        raise
    passkey.sign_count = said.new_sign_count
    passkey.is_backed_up = said.credential_backed_up
    passkey.last_used_at = func.now()  # type: ignore[assignment]  # the database's clock
    await session.flush()


def warn_of_copy(passkey: Passkey) -> None:
    """Let the log, and the event of the request, tell that somebody else has the passkey too."""
    log.warning("passkey_was_copied", passkey_id=str(passkey.id))
    bind_contextvars(user_id=str(passkey.user_id), passkey_copied=str(passkey.id))


def derive_challenge(challenge: Secret[str]) -> bytes:
    """Return what a passkey signs for a login: it ends with the login's challenge."""
    return sha256(b"passkey\0" + challenge.get_secret_value().encode()).digest()
