"""The way back for who has lost every second factor: by an administrator and mail, or at once.

An administrator's reset takes a day, in which the owner is warned: who talks an administrator into
it, and reads the mailbox as well, is not in yet. A login with the second factor ends it.
"""

import uuid
from datetime import timedelta
from typing import Final

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import bind_contextvars

from app.auth.recovery import redeem
from app.auth.sessions import end_all_sessions
from app.mail import service as mail
from app.mail.letters import Letter, Payload, Writer, find_active_user
from app.second_factors.gate import NoSecondFactor, SecondFactors
from app.second_factors.models import FailedCodes, LoginChallenge
from app.second_factors.schemas import SecondFactorReset
from app.users import service as users
from app.users.models import User
from app.users.service import UserNotFound

RESET: Final = "second_factor_reset"
DELAY: Final = timedelta(hours=24)
LINK_LIFETIME: Final = timedelta(hours=24)
_OURS: Final = (LoginChallenge, FailedCodes)


async def request_reset(session: AsyncSession, gate: SecondFactors, user_id: uuid.UUID) -> None:
    """Warn the user, and mail a link after a day; raise `UserNotFound` or `NoSecondFactor`."""
    user = await users.get_user(session, user_id)
    if not await gate.list_methods(session, user_id):
        raise NoSecondFactor
    await withdraw_reset(session, user_id)
    told = {"user_id": str(user_id), "email": user.email}
    await mail.enqueue(session, "second_factor_reset_requested", **told)
    await mail.enqueue_after(session, DELAY, RESET, **told)


async def withdraw_reset(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Forget a reset that somebody has asked for: its mail, and its link where that was sent."""
    await mail.withdraw(session, user_id, RESET)


async def confirm_reset(
    session: AsyncSession, gate: SecondFactors, data: SecondFactorReset
) -> None:
    """Remove all second factors of the user whose link it is, or raise `InvalidToken`."""
    proof = await mail.get_proof(session, data.token, [RESET])
    user = await redeem(session, data.token, proof)
    if user.email != proof.email:
        raise mail.InvalidToken
    await remove_all(session, gate, user)


async def reset_at_once(session: AsyncSession, gate: SecondFactors, email: str) -> None:
    """Remove all second factors of the user with this address, who is told by mail.

    Raises `UserNotFound`.
    """
    user = await users.find_user_by_email(session, email)
    if user is None:
        raise UserNotFound
    await remove_all(session, gate, user)


async def remove_all(session: AsyncSession, gate: SecondFactors, user: User) -> None:
    """Leave the password alone to sign in with, and sign out everywhere."""
    await gate.remove_factors(session, user.id)
    for model in _OURS:
        await session.exec(delete(model).where(col(model.user_id) == user.id))
    await end_all_sessions(session, user.id)
    await withdraw_reset(session, user.id)
    bind_contextvars(second_factor="all", change="removed", owner_id=str(user.id))
    told = {"user_id": str(user.id), "email": user.email, "factor": "all", "change": "removed"}
    await mail.enqueue(session, "second_factor_changed", **told)


async def write_reset(session: AsyncSession, kind: str, payload: Payload) -> Letter | None:
    """Mint the link when the day is over, for the address that was warned."""
    user = await find_active_user(session, payload)
    if user is None or user.email != payload["email"]:
        return None
    token = await mail.mint_token(session, mail.Proof(user.id, kind, user.email), LINK_LIFETIME)
    return Letter(kind, user.email, {"token": token}, user.id, user.language)


WRITERS: Final[dict[str, Writer]] = {RESET: write_reset}
