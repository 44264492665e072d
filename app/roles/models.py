"""Roles, the permissions in them, and who has them."""

import uuid
from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, Relationship, SQLModel

from app.database.tables import NOW
from app.web.schemas import Line


class RolePermission(SQLModel, table=True):
    """A permission of a role; the code says what it is good for."""

    __tablename__ = "role_permission"

    role_id: uuid.UUID = Field(
        default=None, foreign_key="role.id", ondelete="CASCADE", primary_key=True
    )
    permission: str = Field(max_length=100, primary_key=True)


class Role(SQLModel, table=True):
    # For pages, newest first.
    __table_args__ = (Index(None, "created_at", "id"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    name: Line = Field(unique=True, max_length=100)
    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    granted: list[RolePermission] = Relationship(
        cascade_delete=True,
        passive_deletes=True,
        sa_relationship_kwargs={"lazy": "selectin"},
    )

    @property
    def permissions(self) -> list[str]:
        return sorted(each.permission for each in self.granted)


class UserRole(SQLModel, table=True):
    """Gone with the user, and with the role."""

    __tablename__ = "user_role"
    __table_args__ = (Index(None, "role_id", "user_id"),)

    user_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    role_id: uuid.UUID = Field(foreign_key="role.id", ondelete="CASCADE", primary_key=True)
