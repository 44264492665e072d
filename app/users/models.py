"""The `user` table, and the properties that its wire schemas share with it."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import StrictBool
from sqlalchemy import CheckConstraint, ColumnElement, Index, literal_column, text
from sqlmodel import Field, Relationship, SQLModel

from app.database.tables import Timestamps
from app.web.schemas import Email, Line

if TYPE_CHECKING:
    from app.items.models import Item

# Of what `find_canonical_email` returns; in words that SQLite has too. Nothing else is left over.
EMAIL_IS_ASCII: Final = (
    "ltrim(lower(email), 'abcdefghijklmnopqrstuvwxyz0123456789@.!#$%&''*+-/=?^_`{|}~') = ''"
)

# The words of an address and of a name, for PostgreSQL's text search; as it writes it itself, so
# that autogenerate finds the same.
SEARCHED: Final[ColumnElement[Any]] = literal_column(
    "to_tsvector('simple'::regconfig, translate((email::text || ' '::text)"
    " || COALESCE(full_name, ''::character varying)::text, '@._+-/<>&'::text, '         '::text))"
)


class UserBase(SQLModel):
    email: Email = Field(unique=True, index=True, max_length=255)
    # Strict: "no" and 0 are no JSON booleans.
    is_active: StrictBool = True
    is_superuser: StrictBool = False
    full_name: Line | None = Field(default=None, max_length=255)


class User(Timestamps, UserBase, table=True):
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_is_canonical"),
        CheckConstraint(EMAIL_IS_ASCII, name="email_is_ascii"),
        # For pages, newest first, and for the few superusers among many users.
        Index(None, "created_at", "id"),
        Index("ix_user_search", SEARCHED, postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_user_superuser", "id", postgresql_where=text("is_superuser")),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str
    email_verified_at: datetime | None = None
    items: list["Item"] = Relationship(
        back_populates="owner", cascade_delete=True, passive_deletes=True
    )
