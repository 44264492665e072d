"""What clients ask and receive about what has happened."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from app.web.pagination import CursorQuery, PagePublic
from app.web.schemas import Line, Output
from app.web.values import Instant


class EventQuery(CursorQuery):
    """Which of one's own events."""

    kind: Line | None = Field(default=None, max_length=100, description="As in `kind`, whole")
    since: Instant | None = None
    until: Instant | None = Field(default=None, description="Before this instant")


class AuditQuery(EventQuery):
    """Which of all events."""

    user_id: uuid.UUID | None = Field(default=None, description="To whose account it was done")
    actor_id: uuid.UUID | None = Field(default=None, description="Who did it")


class OwnEventPublic(Output):
    id: uuid.UUID
    created_at: datetime
    kind: str
    outcome: str
    by: Literal["you", "another", "unknown"]
    """Who did it: *unknown* where nobody was signed in."""
    address: str | None
    """Null where another did it, whose address is nobody's business."""
    user_agent: str | None
    details: dict[str, JsonValue]


class OwnEventPage(PagePublic[OwnEventPublic]):
    pass


class AuditEventPublic(Output):
    id: uuid.UUID
    created_at: datetime
    kind: str
    outcome: str
    actor_id: uuid.UUID | None
    user_id: uuid.UUID | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    details: dict[str, JsonValue]


class AuditEventPage(PagePublic[AuditEventPublic]):
    pass
