"""The second step of a login: a challenge and a code for an access token."""

import uuid
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pydantic import Secret
from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select
from structlog.contextvars import bind_contextvars

from app.auth.limits import PER_NETWORK, Use, find_network
from app.auth.login import remember_device, signed_in_from
from app.auth.rate_limit import RateLimits, give_back
from app.auth.schemas import TokenPublic
from app.auth.sessions import Client, start_session
from app.database.transactions import release_connection
from app.mail import service as mail
from app.second_factors.codes import (
    CODES_PER_ACCOUNT,
    CODES_PER_ACCOUNT_AND_NETWORK,
    InvalidCode,
    use_code,
)
from app.second_factors.gate import CHALLENGES, SecondFactors, fingerprint
from app.second_factors.models import FailedCodes, LoginChallenge
from app.second_factors.reset import withdraw_reset
from app.second_factors.schemas import SecondFactorAnswer
from app.users.models import User, may_sign_in
from app.users.tokens import hash_token
from app.web.errors import Unauthenticated

TOLD_AFTER = 3  # wrong codes


class InvalidChallenge(Unauthenticated):
    """The challenge is not valid, or no longer; sign in again."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class HalfLogin(NamedTuple):
    """A login whose password was right, and what to try its second step has used up."""

    user_id: uuid.UUID
    token_hash: bytes
    password_hash: bytes
    client: Client
    uses: Sequence[Use]


async def complete_login(
    session: AsyncSession,
    limits: RateLimits,
    gate: SecondFactors,
    data: SecondFactorAnswer,
    client: Client,
) -> TokenPublic:
    """Start a login session; raise `InvalidChallenge`, `InvalidCode` or `TooManyRequests`."""
    half = await limit_half_login(limits, await find_half_login(limits, data.challenge, client))
    await lock_half_login(session, half)
    method = await use_code(session, gate.keys, half.user_id, data.code)
    if method is None:
        await refuse(session, limits, half)
        raise InvalidCode
    return await finish(session, half, method)


async def find_half_login(limits: RateLimits, challenge: Secret[str], client: Client) -> HalfLogin:
    """Find what a challenge is about, or raise `InvalidChallenge` or `TooManyRequests`."""
    network = PER_NETWORK.use(client.network)
    await limits.consume(network)
    token_hash = hash_token(challenge.get_secret_value())
    async with limits.turn() as session:
        row = (await session.exec(_select(token_hash, client))).one_or_none()
    if row is None:
        raise InvalidChallenge
    user_id, password_hash, addresses = row
    bind_contextvars(user_id=str(user_id))
    uses = [network, CODES_PER_ACCOUNT_AND_NETWORK.use(user_id, client.network)]
    if client.network not in map(find_network, addresses):
        uses.append(CODES_PER_ACCOUNT.use(user_id))
    return HalfLogin(user_id, token_hash, password_hash, client, uses)


async def limit_half_login(limits: RateLimits, half: HalfLogin) -> HalfLogin:
    """Use up what a try costs; raise `TooManyRequests`."""
    await limits.consume(*half.uses[1:])  # the network's is used up
    return half


def _select(token_hash: bytes, client: Client) -> Select[uuid.UUID, bytes, Sequence[str | None]]:
    challenge = select(LoginChallenge.user_id, LoginChallenge.password_hash, signed_in_from())
    return challenge.join(User, col(LoginChallenge.user_id) == User.id).where(
        LoginChallenge.token_hash == token_hash,
        LoginChallenge.network == client.network,
        col(LoginChallenge.expires_at) > func.now(),
    )


async def lock_half_login(session: AsyncSession, half: HalfLogin) -> None:
    """Lock the user, or raise `InvalidChallenge` if it is not what it was in the first step."""
    user = select(User.hashed_password).where(User.id == half.user_id, may_sign_in())
    hashed = (await session.exec(user.with_for_update(key_share=True))).one_or_none()
    if hashed is None or fingerprint(hashed) != half.password_hash:
        raise InvalidChallenge


async def refuse(session: AsyncSession, limits: RateLimits, half: HalfLogin) -> None:
    """Count a wrong answer, though the request is undone; after three, the owner is told."""
    await release_connection(session)
    failed = insert(FailedCodes).values(user_id=half.user_id, count=1)
    again = {"count": FailedCodes.count + 1, "failed_at": failed.excluded.failed_at}
    counting = failed.on_conflict_do_update(index_elements=["user_id"], set_=again)
    async with limits.turn() as other:
        other.info.update(session.info)
        count = (await other.exec(counting.returning(col(FailedCodes.count)))).scalar_one()
        if count % TOLD_AFTER == 0:
            told = {"user_id": str(half.user_id), **half.client._asdict()}
            await mail.enqueue(other, "second_factor_failed", **told)


async def finish(session: AsyncSession, half: HalfLogin, method: str) -> TokenPublic:
    """Start the login session, or raise `InvalidChallenge`: of parallel requests, one gets past."""
    mine = delete(LoginChallenge).where(col(LoginChallenge.token_hash) == half.token_hash)
    if (await session.exec(mine)).rowcount == 0:
        raise InvalidChallenge
    await session.exec(delete(FailedCodes).where(col(FailedCodes.user_id) == half.user_id))
    await withdraw_reset(session, half.user_id)
    token = await start_session(session, half.user_id, half.client, is_strong=True)
    await remember_device(session, half.user_id, half.client)
    bind_contextvars(second_factor=method)
    challenge = CHALLENGES.use(half.user_id, half.client.network)
    await give_back(session, [*half.uses, challenge])  # last: other attempts wait for these rows
    return token
