"""Signing in: what it may cost to guess, and what its owner is told of it."""

import re
import uuid
from collections.abc import Sequence
from hashlib import sha256
from typing import ClassVar, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, String, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import bind_contextvars

from app.auth.gate import Gate, Verified
from app.auth.limits import PER_ACCOUNT, PER_ACCOUNT_AND_NETWORK, PER_NETWORK, Use, find_network
from app.auth.models import KnownDevice, LoginSession, is_live
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import RateLimits, give_back
from app.auth.schemas import LoginForm, TokenPublic
from app.auth.service import lock_user
from app.auth.sessions import Client, start_session_unless
from app.database.transactions import release_connection
from app.mail import service as mail
from app.users.models import User, may_sign_in
from app.users.service import NO_PASSWORD
from app.web.errors import Unauthenticated
from app.web.schemas import find_canonical_email

_VERSION = re.compile(r"[\d._]+")


class InvalidCredentials(Unauthenticated):
    """Wrong e-mail address or password."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class Attempt(NamedTuple):
    """What was typed, and where."""

    form: LoginForm
    client: Client


class _Account(NamedTuple):
    """What is known of an address before its password is checked; nobody's looks the same."""

    user_id: uuid.UUID | None
    hashed_password: str
    may_sign_in: bool
    addresses: Sequence[str | None]
    """From where it is signed in."""


async def log_in(
    session: AsyncSession,
    hasher: PasswordHasher,
    limits: RateLimits,
    gate: Gate,
    attempt: Attempt,
) -> TokenPublic:
    """Start a login session; or raise `InvalidCredentials`, `TooManyRequests`, or what `gate` says.

    Whether the account exists, and what else may be wrong, changes neither the answer nor the
    work: the same queries, the same limits, one hash.
    """
    form, client = attempt
    hasher.require_place()
    email = find_canonical_email(form.username)
    async with limits.turn() as reading:
        account = await _find_account(reading, email)
    bind_contextvars(user_id=str(account.user_id) if account.user_id else None)
    uses = _limit(email or form.username, account, client)
    await limits.consume(*uses)
    is_right, new_hash = await hasher.verify_and_update(form.password, account.hashed_password)
    user_id = account.user_id
    if user_id is None or not (is_right and account.may_sign_in):
        raise InvalidCredentials
    if not await lock_user(session, user_id, account.hashed_password):
        if new_hash is None:
            raise InvalidCredentials
        # Perhaps a parallel login was the first to replace the outdated hash.
        await give_back(session, uses)
        await release_connection(session)
        return await log_in(session, hasher, limits, gate, attempt)
    if new_hash:
        await _replace_hash(session, user_id, new_hash)
    token = await start_session_unless(session, gate.is_closed(), user_id, client)
    if token is not None:
        await remember_device(session, user_id, client)
    await give_back(session, uses)  # last: other attempts wait for these rows
    if token is None:
        await release_connection(session)
        raise await gate.ask(limits, Verified(user_id, new_hash or account.hashed_password), client)
    return token


async def _find_account(session: AsyncSession, email: str | None) -> _Account:
    account = select(User.id, User.hashed_password, may_sign_in(), signed_in_from())
    row = (await session.exec(account.where(User.email == (email or "")))).one_or_none()
    return _Account(*row) if row else _Account(None, NO_PASSWORD, may_sign_in=False, addresses=[])


def signed_in_from() -> ColumnElement[Sequence[str | None]]:
    """Return the addresses from which the user of a row is signed in."""
    live = select(LoginSession.address).where(LoginSession.user_id == User.id, is_live())
    return func.array(live.scalar_subquery(), type_=ARRAY(String))


def _limit(name: str, account: _Account, client: Client) -> list[Use]:
    """Return what a try uses up; of a malformed address, as of any other."""
    uses = [
        PER_NETWORK.use(client.network),
        PER_ACCOUNT_AND_NETWORK.use(name, client.network),
    ]
    if client.network not in map(find_network, account.addresses):
        uses.append(PER_ACCOUNT.use(name))
    return uses


async def _replace_hash(session: AsyncSession, user_id: uuid.UUID, new_hash: str) -> None:
    user = update(User).where(col(User.id) == user_id)
    await session.exec(user.values(hashed_password=new_hash))


async def remember_device(session: AsyncSession, user_id: uuid.UUID, client: Client) -> None:
    """Note where the user signs in, and tell the user by mail where that is new."""
    if await _is_new_device(session, user_id, client):
        await mail.enqueue(session, "new_login", user_id=str(user_id), **client._asdict())


async def _is_new_device(session: AsyncSession, user_id: uuid.UUID, client: Client) -> bool:
    """Note where the user signs in; tell whether the device or the network is a new one.

    Of the first login, which has nothing to be compared with, it is not said.
    """
    mine = [_fingerprint("device", _find_device(client)), _fingerprint("network", client.network)]
    known = select(func.count(), func.count().filter(col(KnownDevice.fingerprint).in_(mine))).where(
        KnownDevice.user_id == user_id
    )
    new = insert(KnownDevice).values([{"user_id": user_id, "fingerprint": each} for each in mine])
    remembered = new.on_conflict_do_update(
        index_elements=[col(KnownDevice.user_id), col(KnownDevice.fingerprint)],
        set_={"last_used_at": new.excluded.last_used_at},
    )
    # In one trip: what is counted is as it was before.
    total, recognized = (await session.exec(known.add_cte(remembered.cte("remembered")))).one()
    return total > 0 and recognized < len(mine)


def _find_device(client: Client) -> str:
    """Return the kind of device and browser, whose versions change every few weeks."""
    return _VERSION.sub("", client.user_agent or "")


def _fingerprint(kind: str, text: str) -> bytes:
    return sha256(f"{kind}\0{text}".encode()).digest()
