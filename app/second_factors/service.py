"""What the owner of an account does about its second factors.

Each change signs out all other devices, and is told by mail.
"""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import segno
from pyotp import TOTP, random_base32
from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import bind_contextvars

from app.auth.limits import Limit
from app.auth.models import LoginSession
from app.auth.rate_limit import RateLimits, give_back
from app.auth.sessions import InvalidToken, Login, end_other_sessions, lock_session
from app.mail import service as mail
from app.second_factors.codes import (
    count_recovery_codes,
    renew_recovery_codes,
    use_one_time_code,
)
from app.second_factors.gate import NoSecondFactor, SecondFactors
from app.second_factors.models import FailedCodes, LoginChallenge, RecoveryCode, Totp
from app.second_factors.schemas import (
    RecoveryCodes,
    SecondFactorsPublic,
    TotpConfirmation,
    TotpEnrolment,
)
from app.users.models import User
from app.web.errors import Conflict, NotFound, ServiceError

ENROLMENT_LIFETIME = timedelta(minutes=15)
CODE_CHECKS = Limit("code check", burst=5, interval=timedelta(minutes=1))
"""The first code of an app, asked of somebody who is signed in; per account."""
_OF_THE_LAST_FACTOR: Final = (RecoveryCode, FailedCodes)


class TotpExists(Conflict):
    """An app makes codes for this account already; remove that first."""


class TotpNotFound(NotFound):
    """No app makes codes for this account."""


class IncorrectCode(ServiceError):
    """The code is not right, or it is too late for it; start again."""

    status = HTTPStatus.BAD_REQUEST


async def describe(session: AsyncSession, gate: SecondFactors, login: Login) -> SecondFactorsPublic:
    """Return what the caller has."""
    return SecondFactorsPublic(
        methods=await gate.list_methods(session, login.user.id),
        recovery_codes_left=await count_recovery_codes(session, login.user.id),
        is_required=gate.is_required(login.user),
    )


async def start_totp(session: AsyncSession, gate: SecondFactors, login: Login) -> TotpEnrolment:
    """Make a secret for an app; it counts from its first code on. Raise `TotpExists`."""
    secret = random_base32()
    new = insert(Totp).values(
        user_id=login.user.id,
        encrypted_secret=gate.keys.encrypt(login.user.id, secret),
        expires_at=func.now() + ENROLMENT_LIFETIME,
    )
    started = new.on_conflict_do_update(
        index_elements=["user_id"],
        set_={name: new.excluded[name] for name in ("encrypted_secret", "expires_at")},
        where=col(Totp.expires_at).is_not(None),
    ).returning(col(Totp.expires_at))
    expires_at = (await session.exec(started)).scalar_one_or_none()
    if expires_at is None:
        raise TotpExists
    uri = TOTP(secret, name=login.user.email, issuer=gate.issuer).provisioning_uri()
    picture = segno.make_qr(uri).svg_inline(scale=4)
    return TotpEnrolment(secret=secret, uri=uri, qr_code=picture, expires_at=expires_at)


async def confirm_totp(
    session: AsyncSession,
    limits: RateLimits,
    gate: SecondFactors,
    login: Login,
    data: TotpConfirmation,
) -> RecoveryCodes:
    """Let the app count, as its code is right; raise `TooManyRequests` or `IncorrectCode`."""
    guess = CODE_CHECKS.use(login.user.id)
    await limits.consume(guess)
    await lock_account(session, login)
    text = "".join(data.code.get_secret_value().split())
    if not await use_one_time_code(session, gate.keys, login.user.id, text, is_first=True):
        raise IncorrectCode
    codes = await note_new_factor(session, login, "totp")
    await give_back(session, [guess])
    return codes


async def remove_totp(session: AsyncSession, gate: SecondFactors, login: Login) -> None:
    """Let the app count no more, or raise `TotpNotFound`."""
    await lock_account(session, login)
    mine = delete(Totp).where(col(Totp.user_id) == login.user.id, col(Totp.expires_at).is_(None))
    removed = await session.exec(mine)
    if removed.rowcount == 0:
        raise TotpNotFound
    await note_removed_factor(session, gate, login, "totp")


async def make_recovery_codes(
    session: AsyncSession, gate: SecondFactors, login: Login
) -> RecoveryCodes:
    """Make ten, in place of those that were there; raise `NoSecondFactor`."""
    await lock_account(session, login)
    if not await gate.list_methods(session, login.user.id):
        raise NoSecondFactor
    codes = await renew_recovery_codes(session, login.user.id)
    await _tell(session, login, "recovery_codes", "made anew")
    return RecoveryCodes(recovery_codes=codes)


async def lock_account(session: AsyncSession, login: Login) -> None:
    """Lock the user, as logins do, or raise `InvalidToken` if the caller was signed out."""
    mine = select(User.id).where(User.id == login.user.id)
    await session.exec(mine.with_for_update(key_share=True))
    if not await lock_session(session, login.session_id):
        raise InvalidToken


async def note_new_factor(session: AsyncSession, login: Login, factor: str) -> RecoveryCodes:
    """Do what goes with a new factor; return recovery codes with the first."""
    codes: Sequence[str] = ()
    if not await count_recovery_codes(session, login.user.id):
        codes = await renew_recovery_codes(session, login.user.id)
    await end_other_sessions(session, login)
    await _set_strength(session, login, is_strong=True)
    await _tell(session, login, factor, "added")
    return RecoveryCodes(recovery_codes=codes)


async def note_removed_factor(
    session: AsyncSession, gate: SecondFactors, login: Login, factor: str
) -> None:
    """Do what goes with a removal; without a factor, recovery codes are of no use."""
    mine = delete(LoginChallenge).where(col(LoginChallenge.user_id) == login.user.id)
    await session.exec(mine)
    await end_other_sessions(session, login)
    if not await gate.list_methods(session, login.user.id):
        for model in _OF_THE_LAST_FACTOR:
            await session.exec(delete(model).where(col(model.user_id) == login.user.id))
        await _set_strength(session, login, is_strong=False)
    await _tell(session, login, factor, "removed")


async def _set_strength(session: AsyncSession, login: Login, *, is_strong: bool) -> None:
    mine = update(LoginSession).where(col(LoginSession.id) == login.session_id)
    await session.exec(mine.values(is_strong=is_strong))


async def _tell(session: AsyncSession, login: Login, factor: str, change: str) -> None:
    bind_contextvars(second_factor=factor, change=change)
    told = {"user_id": str(login.user.id), "email": login.user.email}
    await mail.enqueue(session, "second_factor_changed", **told, factor=factor, change=change)
