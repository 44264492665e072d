"""Passkeys, and what their holders are asked to sign."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.database.tables import NOW
from app.web.schemas import Line


class Passkey(SQLModel, table=True):
    """A public key; the private one never leaves its authenticator."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    credential_id: bytes = Field(unique=True, max_length=1023)
    public_key: bytes
    sign_count: int = Field(sa_type=BigInteger)
    """How often it has signed, if it counts; one that goes back is a copy."""
    is_backed_up: bool
    """Whether its holder has it on other devices too."""
    name: Line = Field(max_length=100)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    last_used_at: datetime | None = None


class PasskeyChallenge(SQLModel, table=True):
    """What is to be signed once: by a user who adds a passkey, or by whoever signs in."""

    __tablename__ = "passkey_challenge"

    challenge_hash: bytes = Field(primary_key=True, max_length=32)
    user_id: uuid.UUID | None = Field(
        default=None, foreign_key="user.id", ondelete="CASCADE", index=True
    )
    expires_at: datetime = Field(index=True)
