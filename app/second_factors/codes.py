"""Codes: those of an app, each of which counts once, and recovery codes, each of which is one."""

import re
import uuid
from base64 import b32encode
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Final

import structlog
from pydantic import Secret
from pyotp import TOTP
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import Numeric, cast, delete, func, insert, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.limits import Limit
from app.second_factors.keys import Keys, Unreadable
from app.second_factors.models import RecoveryCode, Totp
from app.web.errors import Unauthenticated

RECOVERY_CODES: Final = 10
CODES_PER_ACCOUNT_AND_NETWORK = Limit("code+network", burst=5, interval=timedelta(minutes=1))
CODES_PER_ACCOUNT = Limit("code", burst=20, interval=timedelta(minutes=10))
"""It does not hold where the account is signed in: else anyone could lock its owner out."""
_SKEW: Final = 1  # intervals of 30 seconds that a clock may be wrong
_SEPARATORS: Final = re.compile(r"[\s-]")
_SIX_DIGITS: Final = re.compile(r"[0-9]{6}")

log = structlog.get_logger()


class InvalidCode(Unauthenticated):
    """The code is not right, or was used before."""

    headers: Final = {"WWW-Authenticate": "Bearer"}  # type: ignore[misc]  # as in other classes


async def use_code(
    session: AsyncSession, keys: Keys, user_id: uuid.UUID, code: Secret[str]
) -> str | None:
    """Use up a code, and name its method; None if it is not right. The caller has the user locked.

    Until its first code an app does not count, so it is no way in.
    """
    text = _SEPARATORS.sub("", code.get_secret_value())
    if _SIX_DIGITS.fullmatch(text):
        return "totp" if await use_one_time_code(session, keys, user_id, text) else None
    mine = delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id)
    used = await session.exec(mine.where(col(RecoveryCode.code_hash) == _hash(text)))
    return "recovery_code" if used.rowcount else None


async def use_one_time_code(
    session: AsyncSession, keys: Keys, user_id: uuid.UUID, text: str, *, is_first: bool = False
) -> bool:
    """Take a code of the app; with the first one, the app counts from then on."""
    expires_at = col(Totp.expires_at)
    is_meant = expires_at > func.now() if is_first else expires_at.is_(None)
    now = cast(func.extract("epoch", func.clock_timestamp()), Numeric)
    mine = select(Totp, now).where(Totp.user_id == user_id, is_meant).with_for_update()
    row = (await session.exec(mine)).one_or_none()
    step = _find_step(keys, row[0], text, float(row[1])) if row else None
    if row is None or step is None or step <= row[0].last_step:
        return False
    # Encrypted anew: so an old key is out of use when everybody has signed in.
    secret = keys.encrypt(user_id, keys.decrypt(user_id, row[0].encrypted_secret))
    used = update(Totp).where(col(Totp.user_id) == user_id)
    await session.exec(used.values(last_step=step, expires_at=None, encrypted_secret=secret))
    return True


def _find_step(keys: Keys, totp: Totp, text: str, now: float) -> int | None:
    """Return the number of the interval that the code is of, if it is near `now`."""
    try:
        generator = TOTP(keys.decrypt(totp.user_id, totp.encrypted_secret))
        return generator.verify_and_get_timecode(text, for_time=now, valid_window=_SKEW)
    except Unreadable:
        log.exception("second_factor_unreadable", user_id=str(totp.user_id))
    except OTPVerificationError:
        pass
    return None


async def renew_recovery_codes(session: AsyncSession, user_id: uuid.UUID) -> Sequence[str]:
    """Make ten, in place of those that were there."""
    await session.exec(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id))
    codes = [b32encode(token_bytes(15)).decode().lower() for _ in range(RECOVERY_CODES)]
    rows = [{"user_id": user_id, "code_hash": _hash(code)} for code in codes]
    await session.exec(insert(RecoveryCode).values(rows))
    return ["-".join(re.findall(".{6}", code)) for code in codes]


async def count_recovery_codes(session: AsyncSession, user_id: uuid.UUID) -> int:
    mine = select(func.count()).where(RecoveryCode.user_id == user_id)
    return (await session.exec(mine)).one()


def _hash(code: str) -> bytes:
    return sha256(code.lower().encode("utf-8", "backslashreplace")).digest()
