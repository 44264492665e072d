"""What clients send and receive about items."""

import uuid
from datetime import datetime

from pydantic import MISSING
from sqlmodel import Field

from app.items.models import ItemBase
from app.web.pagination import PagePublic
from app.web.schemas import Input, Line, Output, Text


class ItemCreate(Input, ItemBase):
    """An item; with an `id` of the client's own it can be sent again, and is added once."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4)


class ItemUpdate(Input):
    title: Line | MISSING = Field(default=MISSING, min_length=1, max_length=255)
    description: Text | MISSING | None = Field(default=MISSING, max_length=255)


class ItemPublic(Output):
    title: str
    description: str | None
    id: uuid.UUID
    owner_id: uuid.UUID
    created_at: datetime
    updated_at: datetime


class ItemPage(PagePublic[ItemPublic]):
    pass
