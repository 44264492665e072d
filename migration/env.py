"""How Alembic reaches the database, and where it learns what the tables should be."""

import logging
from logging.config import fileConfig

from alembic import context
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

import alembic_online
from app.database.embedded import EmbeddedServerError
from app.database.tables import ModelError, load_models
from app.database.url import DatabaseURLError, database_url
from app.settings import SettingsError, read_settings

# No answer at all, connections, passwords, the database's name, resources, shutting down.
UNREACHABLE = {"", "08", "28", "3D", "53", "57"}

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def find_url() -> tuple[str | None, str]:
    """Return the URL and where it stands; a program that sets sqlalchemy.url is obeyed."""
    configured = alembic_online.configured_url(config)
    if configured and config.config_file_name is None:
        return configured, "sqlalchemy.url"
    given = read_settings().given_database_url
    if configured and given is None:
        return configured, "sqlalchemy.url in alembic.ini"
    if configured and configured != given:
        logging.getLogger("alembic.env").warning(
            "DATABASE_URL is used, and not sqlalchemy.url in alembic.ini, which differs"
        )
    return given, "DATABASE_URL"


if len(heads := ScriptDirectory.from_config(config).get_heads()) > 1:
    raise CommandError(
        f"revisions {' and '.join(heads)} both come last: `make rebase-revision` puts the newer one"
        " on top of the other"
    )
try:
    target_metadata = load_models()
    given, place = find_url()
    with database_url(given, place) as url:
        engine = create_engine(url, poolclass=NullPool)
        alembic_online.run(context, engine, target_metadata=target_metadata)
except OperationalError as error:
    if alembic_online.sqlstate(error)[:2] not in UNREACHABLE:  # then it is about a statement
        raise
    hint = "" if place == "DATABASE_URL" else f" (the URL is {place})"
    raise CommandError(f"the database cannot be used: {error.orig}{hint}") from error
except (DatabaseURLError, EmbeddedServerError, ModelError, SettingsError) as error:
    raise CommandError(str(error)) from error
