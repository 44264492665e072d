"""The gate of logins that are not complete without a second factor."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Final, Literal, Protocol

from sqlalchemy import ColumnElement, case, delete, exists, func, insert, or_
from sqlalchemy.dialects.postgresql import array
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth import gate as core
from app.auth.gate import SecondFactorRequired, Verified
from app.auth.limits import Limit
from app.auth.rate_limit import RateLimits
from app.auth.sessions import Client, Login
from app.second_factors.keys import Keys
from app.second_factors.models import LoginChallenge, RecoveryCode, Totp
from app.users.models import User
from app.users.tokens import hash_token, new_token
from app.web.errors import Conflict, Forbidden

Required = Literal["nobody", "superusers", "everybody"]
CHALLENGE_LIFETIME = timedelta(minutes=5)
CHALLENGES = Limit("challenge", burst=10, interval=timedelta(minutes=1))
"""Per account and network; a login that is completed gives its use back."""


class EnrolmentRequired(Forbidden):
    """Set up a second factor first; until then, this account can do nothing else."""


class NoSecondFactor(Conflict):
    """The account has no second factor."""


class Factor(Protocol):
    """What a user can have besides a password."""

    @property
    def name(self) -> str: ...

    def is_set_up(self) -> ColumnElement[bool]:
        """Return the condition, of a row of `user`, that it is there."""

    async def remove(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        """Delete it."""


class OneTimeCodes:
    """The codes of an app."""

    name: Final = "totp"

    def is_set_up(self) -> ColumnElement[bool]:
        return exists().where(col(Totp.user_id) == User.id, col(Totp.expires_at).is_(None))

    async def remove(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        await session.exec(delete(Totp).where(col(Totp.user_id) == user_id))


class RecoveryCodesLeft:
    """What helps where a factor is lost; by themselves, they are none."""

    name: Final = "recovery_code"

    def is_set_up(self) -> ColumnElement[bool]:
        return exists().where(col(RecoveryCode.user_id) == User.id)

    async def remove(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        await session.exec(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id))


class SecondFactors(core.Gate):
    """Closed to the password alone where one of the `factors` is set up."""

    def __init__(
        self, *, keys: Keys, issuer: str, required: Required, factors: Sequence[Factor]
    ) -> None:
        self.keys = keys
        self.issuer = issuer
        self._required = required
        self.factors = factors

    def is_closed(self) -> ColumnElement[bool]:
        return or_(*(factor.is_set_up() for factor in self.factors))

    def is_required(self, user: User) -> bool:
        """Tell whether the service's owner wants this user to have a second factor."""
        superuser = self._required == "superusers" and user.is_superuser
        return superuser or self._required == "everybody"

    def admit(self, login: Login) -> None:
        """Raise `EnrolmentRequired` if the login should have had a second step, and had none."""
        if not login.is_strong and self.is_required(login.user):
            raise EnrolmentRequired

    async def ask(
        self, limits: RateLimits, verified: Verified, client: Client
    ) -> SecondFactorRequired:
        """Return a challenge for this login and network; raise `TooManyRequests`."""
        await limits.consume(CHALLENGES.use(verified.user_id, client.network))
        token = new_token("ulc")
        new = insert(LoginChallenge).values(
            token_hash=hash_token(token),
            user_id=verified.user_id,
            network=client.network,
            password_hash=fingerprint(verified.hashed_password),
            expires_at=func.now() + CHALLENGE_LIFETIME,
        )
        # By itself: the answer is a refusal, which undoes what the request has done.
        async with limits.turn() as session:
            await session.exec(new)
            methods = await self.list_methods(session, verified.user_id)
        return SecondFactorRequired(core.LoginChallenge(challenge=token, methods=methods))

    async def remove_factors(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        """Leave the user none of them."""
        for factor in (*self.factors, RecoveryCodesLeft()):
            await factor.remove(session, user_id)

    async def list_methods(self, session: AsyncSession, user_id: uuid.UUID) -> list[str]:
        """Name what the user can complete a login with; nothing where the password is enough."""
        factors: list[Factor] = [*self.factors, RecoveryCodesLeft()]
        names = array([case((each.is_set_up(), each.name)) for each in factors])
        found = select(func.array_remove(names, None)).where(User.id == user_id)
        there: list[str] = (await session.exec(found)).one_or_none() or []
        return [] if there == [RecoveryCodesLeft.name] else there


def fingerprint(hashed_password: str) -> bytes:
    """Return what tells one stored hash from another, and is worth nothing else."""
    return sha256(hashed_password.encode()).digest()
