"""The tables of mail: the outbox, and the tokens whose links and codes it carries."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from app.database.tables import NOW
from app.users.models import EMAIL_IS_ASCII


class Outbox(SQLModel, table=True):
    """Mail to be sent, written in the transaction of what it tells; the worker sends it."""

    __table_args__ = (
        # Of millions that were sent, the few that were not; and those to be purged.
        Index("ix_outbox_due", "run_at", postgresql_where=text("sent_at IS NULL")),
        Index("ix_outbox_sent_at", "sent_at"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    kind: str = Field(max_length=50)
    payload: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    run_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    attempts: int = Field(default=0, sa_type=BigInteger)
    locked_until: datetime | None = None
    last_error: str | None = Field(default=None, max_length=255)
    sent_at: datetime | None = None


class EmailToken(SQLModel, table=True):
    """What a link proves: that its reader has this address. Of a kind, a user has one at most."""

    __tablename__ = "email_token"

    token_hash: bytes = Field(primary_key=True, max_length=32)
    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE")
    purpose: str = Field(max_length=30)
    email: str = Field(max_length=255)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    expires_at: datetime = Field(index=True)

    __table_args__ = (
        Index(None, "user_id", "purpose", unique=True),
        CheckConstraint(EMAIL_IS_ASCII, name="email_is_ascii"),
    )
