"""What has happened to accounts: rows that are added, and never changed."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from app.database.tables import NOW


class AuditEvent(SQLModel, table=True):
    """No foreign key: what an account has done is known for longer than the account."""

    __tablename__ = "audit_event"
    # For pages, newest first: of all, of a kind, of whom it was done to, and of who did it.
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "kind", "created_at", "id"),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "actor_id", "created_at", "id"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    kind: str = Field(max_length=100)
    outcome: str = Field(max_length=100)
    """`done`, or the code of the error that refused it."""
    actor_id: uuid.UUID | None = None
    """Who did it; nobody where no one was signed in."""
    user_id: uuid.UUID | None = None
    """To whose account."""
    address: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=255)
    request_id: str | None = Field(default=None, max_length=64)
    details: dict[str, Any] = Field(sa_type=JSON)
