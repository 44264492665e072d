"""What all tables share: the naming convention, the timestamps, and how they are found."""

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import MetaData, func
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlmodel import Field, SQLModel

# Stable names let a revision drop a constraint, and a service recognize one.
SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

# Both PostgreSQL and SQLite know it by this name: the start of the transaction.
NOW = {"server_default": func.current_timestamp()}


class Timestamps(AsyncAttrs, SQLModel):
    """Two instants that the database gives, by its own clock; and `row.awaitable_attrs`."""

    # The values come back with the INSERT or UPDATE itself (RETURNING), without a query more.
    __mapper_args__: ClassVar[dict[str, Any]] = {"eager_defaults": True}

    created_at: datetime = Field(default=None, sa_column_kwargs=NOW)
    updated_at: datetime = Field(
        default=None, sa_column_kwargs=NOW | {"onupdate": func.current_timestamp()}
    )


def load_models() -> MetaData:
    """Import every `app/<domain>/models.py` and return the metadata they have filled."""
    app = Path(__file__).parents[1]
    for models in sorted(app.glob("*/models.py")):
        import_module(f"app.{models.parent.name}.models")
    return SQLModel.metadata
