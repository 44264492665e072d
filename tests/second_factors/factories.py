"""Accounts with second factors, made without the requests that a user would send."""

from time import time
from typing import Final

from httpx2 import AsyncClient, Response
from pyotp import TOTP, random_base32
from sqlalchemy import func, insert
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import Proof, mint_token
from app.second_factors.codes import renew_recovery_codes
from app.second_factors.gate import CHALLENGE_LIFETIME, fingerprint
from app.second_factors.keys import Keys
from app.second_factors.models import LoginChallenge, Totp
from app.second_factors.reset import LINK_LIFETIME, RESET
from app.second_factors.service import ENROLMENT_LIFETIME
from app.users.models import User
from app.users.tokens import hash_token, new_token
from tests.factories import PASSWORD

LOGIN: Final = "/api/v1/auth/login"
SECOND_STEP: Final = f"{LOGIN}/second-factor"
FACTORS: Final = "/api/v1/users/me/second-factors"
KEYS: Final = Keys.for_development()


async def add_totp(session: AsyncSession, user: User, *, is_confirmed: bool = True) -> str:
    """Give the user an app, and return the secret that it makes codes of."""
    secret = random_base32()
    row: dict[str, object] = {"encrypted_secret": KEYS.encrypt(user.id, secret)}
    if not is_confirmed:
        row["expires_at"] = func.now() + ENROLMENT_LIFETIME
    await session.exec(insert(Totp).values(user_id=user.id, **row))
    await session.commit()
    return secret


async def add_recovery_codes(session: AsyncSession, user: User) -> list[str]:
    codes = await renew_recovery_codes(session, user.id)
    await session.commit()
    return list(codes)


async def make_challenge(session: AsyncSession, user: User, network: str = "127.0.0.1") -> str:
    """Return what a login of the user gets after the right password."""
    token = new_token("ulc")
    new = insert(LoginChallenge).values(
        token_hash=hash_token(token),
        user_id=user.id,
        network=network,
        password_hash=fingerprint(user.hashed_password),
        expires_at=func.now() + CHALLENGE_LIFETIME,
    )
    await session.exec(new)
    await session.commit()
    return token


async def make_reset_token(session: AsyncSession, user: User) -> str:
    """Return the code of the mail that removes second factors."""
    token = await mint_token(session, Proof(user.id, RESET, user.email), LINK_LIFETIME)
    await session.commit()
    return token


def make_code(secret: str, *, steps: int = 0) -> str:
    """Return the app's code of now, or of as many intervals of 30 seconds later."""
    return TOTP(secret).at(int(time()), counter_offset=steps)


async def give_password(client: AsyncClient, user: User) -> Response:
    return await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})


async def give_code(client: AsyncClient, challenge: str, code: str) -> Response:
    return await client.post(SECOND_STEP, json={"challenge": challenge, "code": code})
