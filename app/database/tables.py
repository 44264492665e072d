"""What all tables share: the naming convention, the timestamps, and how they are found."""

from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import MetaData, func
from sqlalchemy.exc import InvalidRequestError
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


class ModelError(Exception):
    """The models cannot be loaded; the message says which and what to do."""


def load_models() -> MetaData:
    """Import each module and package named `models` below `app/`; return the metadata they fill."""
    for path in sorted(_find_models()):
        parts = path.with_suffix("").parts
        try:
            import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        except InvalidRequestError as error:
            if "already defined" not in str(error):
                raise
            said, _, _ = str(error).partition(" for this MetaData")
            raise ModelError(
                f"{path}: {said}. A table is named after its class: give this class another name,"
                " or a __tablename__"
            ) from error
    return SQLModel.metadata


def _find_models() -> Iterator[Path]:
    """Yield the paths from the project's folder: `app/items/models.py`."""
    app = Path(__file__).parents[1]
    for found in (*app.rglob("models.py"), *app.rglob("models/**/*.py")):
        yield found.relative_to(app.parent)
