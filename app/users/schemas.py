"""What clients send and receive about users."""

import uuid
from datetime import datetime

from pydantic import MISSING
from sqlmodel import Field

from app.schemas import Input, Line
from app.users.models import UserBase


class UserCreate(Input, UserBase):
    """A user that an administrator adds. It has no password until its owner sets one."""


class UserUpdateMe(Input):
    full_name: Line | MISSING | None = Field(default=MISSING, max_length=255)


class UserUpdate(UserUpdateMe):
    is_active: bool | MISSING = MISSING
    is_superuser: bool | MISSING = MISSING


class UserPublic(UserBase):
    id: uuid.UUID
    email_verified_at: datetime | None
    created_at: datetime
    updated_at: datetime
