"""What clients send and receive about users."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import MISSING, StrictBool
from sqlmodel import Field

from app.users.models import UserBase
from app.web.languages import Language
from app.web.pagination import PagePublic, PageQuery
from app.web.schemas import Input, Line, Output, PublicEmail


class UserCreate(Input, UserBase):
    """A user that an administrator adds. It has no password until its owner sets one."""

    language: Language | None = None


class UserUpdateMe(Input):
    full_name: Line | MISSING | None = Field(default=MISSING, max_length=255)
    language: Language | MISSING | None = Field(
        default=MISSING, description="Of pages and mails; null: as the browser asks"
    )


class UserUpdate(UserUpdateMe):
    is_active: StrictBool | MISSING = MISSING
    is_superuser: StrictBool | MISSING = MISSING


State = Literal["active", "deactivated", "unverified", "superuser"]


class UserQuery(PageQuery):
    """Which users."""

    state: State | None = None


class UserPublic(Output):
    email: PublicEmail
    is_active: bool
    is_superuser: bool
    full_name: str | None
    language: str | None
    """Of pages and mails; null: as the browser asks."""
    id: uuid.UUID
    email_verified_at: datetime | None
    deletion_due_at: datetime | None
    """The owner has deleted it, and takes that back by signing in before then."""
    created_at: datetime
    updated_at: datetime


class UserPage(PagePublic[UserPublic]):
    is_partial: bool
    """Whether the search has stopped at 10,000 matches, so that there may be more."""
