"""Passkeys as their owners add, name and remove them."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Final

from sqlalchemy import delete, func, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.sessions import Login
from app.database.errors import violates
from app.passkeys.ceremonies import Credential, InvalidResponse, RelyingParty, read_challenge
from app.passkeys.factor import list_credential_ids
from app.passkeys.models import Passkey, PasskeyChallenge
from app.passkeys.schemas import (
    NewPasskey,
    PasskeyCreate,
    PasskeyOptions,
    PasskeyPublic,
    PasskeyUpdate,
)
from app.second_factors.gate import SecondFactors
from app.second_factors.service import lock_account, note_new_factor, note_removed_factor
from app.web.errors import Conflict, NotFound, ServiceError

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
PASSKEYS_PER_USER: Final = 20


class InvalidPasskey(ServiceError):
    """The browser's answer is not valid, or no longer; start again."""


class PasskeyTaken(Conflict):
    """The passkey is known already."""


class TooManyPasskeys(Conflict):
    """The account has 20 passkeys; remove one first."""


class PasskeyNotFound(NotFound):
    """No passkey of yours has this id."""


async def start_passkey(
    session: AsyncSession, relying_party: RelyingParty, login: Login
) -> PasskeyOptions:
    """Return what the browser makes a passkey of."""
    known = await list_credential_ids(session, login.user.id)
    challenge = await make_challenge(session, login.user.id)
    return PasskeyOptions(options=relying_party.ask_for_new(login.user, known, challenge))


async def create_passkey(
    session: AsyncSession, relying_party: RelyingParty, login: Login, data: PasskeyCreate
) -> NewPasskey:
    """Add what the browser has made; raise `InvalidPasskey`, `PasskeyTaken`, `TooManyPasskeys`."""
    await lock_account(session, login)
    if len(await list_credential_ids(session, login.user.id)) >= PASSKEYS_PER_USER:
        raise TooManyPasskeys
    try:
        challenge = await use_challenge(session, data.credential, login.user.id)
        new = relying_party.check_new(data.credential, challenge)
    except InvalidResponse as error:
        raise InvalidPasskey from error
    passkey = Passkey(
        user_id=login.user.id,
        credential_id=new.credential_id,
        public_key=new.credential_public_key,
        sign_count=new.sign_count,
        is_backed_up=new.credential_backed_up,
        name=data.name,
    )
    await _add(session, passkey)
    codes = await note_new_factor(session, login, "passkey")
    shown = PasskeyPublic.model_validate(passkey).model_dump()
    return NewPasskey(**shown, recovery_codes=codes.recovery_codes)


async def _add(session: AsyncSession, passkey: Passkey) -> None:
    session.add(passkey)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_passkey_credential_id"):
            raise PasskeyTaken from error
        raise
    await session.refresh(passkey)


async def list_passkeys(session: AsyncSession, login: Login) -> Sequence[Passkey]:
    """Return the caller's passkeys, the oldest first."""
    mine = select(Passkey).where(Passkey.user_id == login.user.id)
    return list(await session.exec(mine.order_by(col(Passkey.created_at), col(Passkey.id))))


async def get_passkey(session: AsyncSession, login: Login, passkey_id: uuid.UUID) -> Passkey:
    """Return one of the caller's passkeys, or raise `PasskeyNotFound`."""
    passkey = await session.get(Passkey, passkey_id)
    if passkey is None or passkey.user_id != login.user.id:
        raise PasskeyNotFound
    return passkey


async def update_passkey(
    session: AsyncSession, login: Login, passkey_id: uuid.UUID, data: PasskeyUpdate
) -> Passkey:
    """Name it otherwise, or raise `PasskeyNotFound`."""
    passkey = await get_passkey(session, login, passkey_id)
    passkey.name = data.name
    await session.flush()
    return passkey


async def remove_passkey(
    session: AsyncSession, gate: SecondFactors, login: Login, passkey_id: uuid.UUID
) -> None:
    """Remove it, or raise `PasskeyNotFound`."""
    await lock_account(session, login)
    mine = delete(Passkey).where(col(Passkey.user_id) == login.user.id)
    removed = await session.exec(mine.where(col(Passkey.id) == passkey_id))
    if removed.rowcount == 0:
        raise PasskeyNotFound
    await note_removed_factor(session, gate, login, "passkey")


async def make_challenge(session: AsyncSession, user_id: uuid.UUID | None = None) -> bytes:
    """Return what is to be signed, by this user or by whoever signs in."""
    challenge = token_bytes(32)
    new = insert(PasskeyChallenge).values(
        challenge_hash=sha256(challenge).digest(),
        user_id=user_id,
        expires_at=func.now() + CHALLENGE_LIFETIME,
    )
    await session.exec(new)
    return challenge


async def use_challenge(
    session: AsyncSession, credential: Credential, user_id: uuid.UUID | None = None
) -> bytes:
    """Use up the challenge that was signed, and return it; raise `InvalidResponse`."""
    challenge = read_challenge(credential)
    ours = delete(PasskeyChallenge).where(
        col(PasskeyChallenge.challenge_hash) == sha256(challenge).digest(),
        col(PasskeyChallenge.user_id).is_not_distinct_from(user_id),
        col(PasskeyChallenge.expires_at) > func.now(),
    )
    if (await session.exec(ours)).rowcount == 0:
        raise InvalidResponse
    return challenge
