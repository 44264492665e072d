"""What clients send and receive about roles."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import MISSING, StringConstraints
from sqlmodel import Field

from app.web.pagination import PagePublic
from app.web.schemas import Input, Line, Output

Permission = Annotated[Line, StringConstraints(min_length=1, max_length=100)]


class RoleCreate(Input):
    name: Line = Field(min_length=1, max_length=100)
    permissions: set[Permission] = Field(max_length=100)


class RoleUpdate(Input):
    name: Line | MISSING = Field(default=MISSING, min_length=1, max_length=100)
    permissions: set[Permission] | MISSING = Field(default=MISSING, max_length=100)


class RolePublic(Output):
    id: uuid.UUID
    name: str
    permissions: Sequence[str]
    created_at: datetime


class RolePage(PagePublic[RolePublic]):
    pass


class PermissionsPublic(Output):
    permissions: Sequence[str]
