"""Valid objects for tests: say only what the test is about, the services fill in the rest."""

from itertools import count
from typing import Any

from httpx2 import AsyncClient
from sqlalchemy import ColumnElement, DateTime, Interval, cast, func, type_coerce, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession, RateLimit
from app.auth.password_policy import PasswordPolicy
from app.auth.passwords import PasswordHasher
from app.auth.schemas import SignUp
from app.auth.service import sign_up
from app.auth.sessions import Client, start_session
from app.mail.models import EmailToken
from app.mail.service import Proof, mint_token
from app.users.models import User, UserBase
from app.users.schemas import UserCreate
from tests.values import fill_in

PASSWORD = "correct horse battery staple"
POLICY = PasswordPolicy(min_length=15, application="Marble shop")
HASHER = PasswordHasher(memory=8, threads=2, policy=POLICY)
_numbers = count(1)


def make_account(email: str = "ada@example.com", **values: Any) -> dict[str, Any]:
    """Return a body for sign-up, with whatever it requires."""
    return fill_in(SignUp, **{"email": email, "password": PASSWORD} | values)


def make_invitation(email: str = "ada@example.com", **values: Any) -> dict[str, Any]:
    """Return a body with which an administrator adds a user, with whatever it requires."""
    return fill_in(UserCreate, email=email, **values)


def new_user(email: str = "ada@example.com", **values: Any) -> User:
    """Return a row as a migration or an import would write it: of nothing that was checked."""
    return User(**fill_in(UserBase, **{"email": email, "hashed_password": "x"} | values))


async def make_user(session: AsyncSession, **attributes: Any) -> User:
    """Sign a user up with `PASSWORD`; `attributes` are set over what sign-up does."""
    number = next(_numbers)
    account = make_account(
        email=attributes.pop("email", f"user{number}@example.com"),
        password=attributes.pop("password", PASSWORD),
        full_name=attributes.pop("full_name", f"User {number}"),
    )
    user = await sign_up(session, HASHER, SignUp(**account))
    for name, value in attributes.items():
        setattr(user, name, value)
    await session.commit()
    return user


async def make_superuser(session: AsyncSession, **attributes: Any) -> User:
    return await make_user(session, is_superuser=True, **attributes)


async def make_token(session: AsyncSession, user: User) -> str:
    """Start a login session of the user, as no limit keeps from, and return the access token."""
    token = await start_session(session, user.id, Client("192.0.2.1", "tests"))
    await session.commit()
    return token.access_token


async def make_mail_token(
    session: AsyncSession, user: User, purpose: str, email: str | None = None
) -> str:
    """Return the code that a mail to the user would carry."""
    token = await mint_token(session, Proof(user.id, purpose, email or user.email))
    await session.commit()
    return token


def earlier(instant: Any, interval: str) -> ColumnElement[Any]:
    """Set an instant back by an interval of PostgreSQL, as if time passed.

    By way of UTC: by itself the difference depends on the time zone, which Citus does not let the
    servers of a table find out each for itself.
    """
    in_utc = func.timezone("UTC", type_coerce(instant, DateTime(timezone=True)))
    return func.timezone("UTC", in_utc - cast(interval, Interval), type_=DateTime(timezone=True))


async def move_mail_tokens_back(session: AsyncSession, interval: str) -> None:
    """Set the end of all mail tokens back by an interval of PostgreSQL, as if time passed."""
    expires_at = earlier(EmailToken.expires_at, interval)
    await session.exec(update(EmailToken).values(expires_at=expires_at))
    await session.commit()


async def sign_in(client: AsyncClient, session: AsyncSession, user: User) -> None:
    """Make the client's requests the user's."""
    client.headers["Authorization"] = f"Bearer {await make_token(session, user)}"


async def move_login_back(session: AsyncSession, user: User, **instants: str) -> None:
    """Set instants of the user's sessions back by an interval of PostgreSQL, as if time passed."""
    back = {
        name: earlier(getattr(LoginSession, name), interval) for name, interval in instants.items()
    }
    mine = update(LoginSession).where(col(LoginSession.user_id) == user.id)
    await session.exec(mine.values(back))
    await session.commit()


async def let_time_pass(session: AsyncSession, interval: str) -> None:
    """Set the buckets of all limits back by an interval of PostgreSQL."""
    arrival_at = earlier(RateLimit.arrival_at, interval)
    await session.exec(update(RateLimit).values(arrival_at=arrival_at))
    await session.commit()


async def reload_user(session: AsyncSession, user: User) -> User:
    """Return the user as the database has it now."""
    await session.refresh(user)
    return user
