"""One-time codes, recovery codes, and logins of which the second step is still to come."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.database.tables import NOW


class Totp(SQLModel, table=True):
    """The secret that a user's app makes codes of (RFC 6238), encrypted."""

    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    encrypted_secret: bytes
    last_step: int = Field(default=0, sa_type=BigInteger)
    """The interval of the last code that was taken; that code, and older ones, count no more."""
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    expires_at: datetime | None = Field(default=None, index=True)
    """Until when a first code must show that the app has the secret; then there is no end."""


class RecoveryCode(SQLModel, table=True):
    """One of those that a user has on paper. It has 120 random bits, so a plain hash hides it."""

    __tablename__ = "recovery_code"

    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    code_hash: bytes = Field(primary_key=True, max_length=32)


class LoginChallenge(SQLModel, table=True):
    """A login whose password was right: it takes a second factor, from the same network."""

    __tablename__ = "login_challenge"

    token_hash: bytes = Field(primary_key=True, max_length=32)
    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    network: str = Field(max_length=45)
    password_hash: bytes = Field(max_length=32)
    """The SHA-256 of what the password was compared with: another password ends the login."""
    expires_at: datetime = Field(index=True)


class FailedCodes(SQLModel, table=True):
    """How many wrong codes there were since the last right one."""

    __tablename__ = "failed_codes"

    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    count: int = Field(sa_type=BigInteger)
    failed_at: datetime = Field(default=None, index=True, sa_column_kwargs=NOW)
