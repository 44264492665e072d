"""The `user` table, and the properties that its wire schemas share with it."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import StrictBool
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Index,
    func,
    literal_column,
    or_,
    text,
)
from sqlmodel import Field, Relationship, SQLModel, col

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

NEVER_SHOWN: Final = "never_shown"
"""In a column's `info`: not even the owner is shown it, as in `GET /users/me/export`."""


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
        # For pages, newest first: of all, and of those who are few among many.
        Index(None, "created_at", "id"),
        Index("ix_user_deactivated", "created_at", "id", postgresql_where=text("NOT is_active")),
        Index(
            "ix_user_unverified",
            *("created_at", "id"),
            postgresql_where=text("email_verified_at IS NULL"),
        ),
        Index("ix_user_search", SEARCHED, postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_user_superuser", "id", postgresql_where=text("is_superuser")),
        Index(None, "deletion_due_at", postgresql_where=text("deletion_due_at IS NOT NULL")),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str = Field(sa_column_kwargs={"info": {NEVER_SHOWN: True}})
    email_verified_at: datetime | None = None
    # None: as the browser asks. Text, as there may be another language with each release.
    language: str | None = Field(default=None, max_length=35)
    # The owner has deleted it, and can take that back until then.
    deletion_due_at: datetime | None = None
    items: list["Item"] = Relationship(
        back_populates="owner", cascade_delete=True, passive_deletes=True
    )


def may_sign_in() -> ColumnElement[bool]:
    """Return the condition that a user is active, or can be taken back."""
    return or_(col(User.is_active), col(User.deletion_due_at) > func.now())
