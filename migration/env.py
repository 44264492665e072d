"""How Alembic reaches the database, and where it learns what the tables should be."""

from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from app.database import DatabaseURLError, database_url
from app.embedded import EmbeddedServerError
from app.models import load_models
from app.settings import SettingsError, read_settings

config = context.config
load_models()
target_metadata = SQLModel.metadata


def render_item(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Write SQLAlchemy's types for SQLModel's own, so that revisions do not import SQLModel."""
    if kind == "type" and type(item).__module__.startswith("sqlmodel."):
        return f"sa.{item.impl!r}"
    return False


def run(url: URL) -> None:
    """Run the command on a database, or write its SQL if the command has `--sql`."""
    options: dict[str, Any] = {
        "target_metadata": target_metadata,
        "render_item": render_item,
        "render_as_batch": url.get_backend_name() == "sqlite",
        "compare_server_default": True,
        "transaction_per_migration": True,
    }
    if context.is_offline_mode():
        context.configure(url=url, literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()


if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)
try:
    # A program may set sqlalchemy.url, as the tests do; everyone else uses DATABASE_URL.
    given = config.get_main_option("sqlalchemy.url") or read_settings().given_database_url
    with database_url(given) as url:
        run(url)
except OperationalError as error:
    raise CommandError(f"the database cannot be used: {error.orig}") from error
except (DatabaseURLError, EmbeddedServerError, SettingsError) as error:
    raise CommandError(str(error)) from error
