"""The devices that are signed in, those that were before, and how much has been tried."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, text
from sqlmodel import Field, SQLModel, col

from app.database.tables import NOW

IDLE_LIFETIME = timedelta(days=7)
USE_WRITTEN_AFTER = timedelta(minutes=5)  # `last_used_at` is this exact, for far fewer writes


class LoginSession(SQLModel, table=True):
    """Only the token's SHA-256 is stored, so that a leaked database signs nobody in."""

    __tablename__ = "login_session"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    token_hash: bytes = Field(unique=True, max_length=32)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    last_used_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    authenticated_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    expires_at: datetime = Field(index=True)
    address: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=255)
    # Whether more than a password was asked.
    is_strong: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


def is_live() -> ColumnElement[bool]:
    """Return the condition that a login session has not expired."""
    return and_(
        col(LoginSession.expires_at) > func.now(),
        col(LoginSession.last_used_at) > func.now() - IDLE_LIFETIME,
    )


def is_in_use() -> ColumnElement[bool]:
    """Return the condition that it was used after its login, and may be in use just now."""
    return and_(
        col(LoginSession.last_used_at) > col(LoginSession.created_at),
        col(LoginSession.last_used_at) > func.now() - 2 * USE_WRITTEN_AFTER,
    )


class KnownDevice(SQLModel, table=True):
    """Where a user has signed in before: a login from elsewhere is told to its owner."""

    __tablename__ = "known_device"

    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    fingerprint: bytes = Field(primary_key=True, max_length=32)
    last_used_at: datetime = Field(default=None, index=True, sa_column_kwargs=NOW)


class RateLimit(SQLModel, table=True):
    """One bucket of the generic cell rate algorithm; a bucket without a row is untouched."""

    __tablename__ = "rate_limit"

    key_hash: bytes = Field(primary_key=True, max_length=32)
    arrival_at: datetime = Field(index=True)
    """The theoretical arrival time; in the past, nothing is used up."""
