"""The `item` table, and the properties that its wire schemas share with it."""

import uuid

from sqlalchemy import Index
from sqlmodel import Field, Relationship, SQLModel

from app.database.tables import Timestamps
from app.users.models import User
from app.web.schemas import Line, Text


class ItemBase(SQLModel):
    title: Line = Field(min_length=1, max_length=255)
    description: Text | None = Field(default=None, max_length=255)


class Item(Timestamps, ItemBase, table=True):
    # One index finds an owner's items and pages through them; PostgreSQL reads it backwards too.
    __table_args__ = (Index(None, "owner_id", "created_at", "id"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE")
    owner: User | None = Relationship(back_populates="items")
