"""The `login_session` table: the devices that are signed in."""

import uuid
from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models import NOW


class LoginSession(SQLModel, table=True):
    """Only the token's SHA-256 is stored, so that a leaked database signs nobody in."""

    __tablename__ = "login_session"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    token_hash: bytes = Field(unique=True, max_length=32)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    last_used_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    authenticated_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    expires_at: datetime
    address: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=255)
