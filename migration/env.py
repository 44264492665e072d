"""How Alembic reaches the database, and where it learns what the tables should be."""

import logging
import warnings
from logging.config import fileConfig

from alembic import context
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, NullPool, create_engine, inspect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.schema import CreateSchema

import alembic_online
from app.database.embedded import EmbeddedServerError
from app.database.tables import ModelError, load_models
from app.database.url import DEFAULT_SCHEMA, DatabaseURLError, database_url
from app.settings import SettingsError, read_settings

# No answer at all, connections, passwords, the database's name, resources, shutting down.
UNREACHABLE = {"08", "28", "3D", "53", "57"}
# What is said of a statement, and what to do about it.
ANSWERS = {
    "42501": "this role may not do that: migrate as the owner of the tables (migration/roles.sql),"
    " or GRANT CREATE, on the schema public or, for a schema of your own, on the database",
    "3F000": "this role may use no schema of the database (migration/roles.sql)",
    "42P07": "it is there already, though no revision of this database has made it: `alembic stamp`"
    " the revision that the database is at; or, if it is another application's, use another"
    " database, or a schema of your own (DATABASE_SCHEMA)",
}
BEHIND = "run `alembic upgrade head`, then this again"
AHEAD = (
    "\nIf it was another branch of the code: go back to it and `alembic downgrade` to what both"
    " have,\nor `make reset` makes the development database anew. If it was another application:"
    " set DATABASE_SCHEMA,\nand this one has a schema of its own"
)

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def find_url() -> tuple[str | None, str]:
    """Return the URL and where it stands; a program that sets sqlalchemy.url is obeyed."""
    configured = alembic_online.configured_url(config)
    if configured and config.config_file_name is None:
        return configured, "sqlalchemy.url"
    given = settings.given_database_url
    if configured and given is None:
        return configured, "sqlalchemy.url in alembic.ini"
    if configured and configured != given:
        logging.getLogger("alembic.env").warning(
            "DATABASE_URL is used, and not sqlalchemy.url in alembic.ini, which differs"
        )
    return given, "DATABASE_URL"


def create_schema(engine: Engine, schema: str) -> None:
    """Make our own schema, unless it is there: not everybody who migrates has the right to."""
    if engine.dialect.name == "postgresql" and not inspect(engine).has_schema(schema):
        with engine.begin() as connection:
            connection.execute(CreateSchema(schema, if_not_exists=True))


if len(heads := ScriptDirectory.from_config(config).get_heads()) > 1:
    raise CommandError(
        f"revisions {' and '.join(heads)} both come last: `make rebase-revision` puts the newer one"
        " on top of the other"
    )
try:
    target_metadata = load_models()
    settings = read_settings()
    given, place = find_url()
    # An index that is for PostgreSQL alone (`ddl_if`) is not missed on SQLite.
    warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression")
    with database_url(given, place, settings.database_schema) as url:
        engine = create_engine(url, poolclass=NullPool)
        if settings.database_schema != DEFAULT_SCHEMA and not context.is_offline_mode():
            create_schema(engine, settings.database_schema)
        alembic_online.run(context, engine, target_metadata=target_metadata)
except DBAPIError as error:
    state = alembic_online.sqlstate(error)
    hint = "" if place == "DATABASE_URL" else f" (the URL is {place})"
    if state[:2] in UNREACHABLE or (not state and isinstance(error, OperationalError)):
        raise CommandError(f"the database cannot be used: {error.orig}{hint}") from error
    if state in ANSWERS:
        said = str(error.orig).splitlines()[0]
        raise CommandError(f"{said}: {ANSWERS[state]}") from error
    raise
except CommandError as error:
    if (
        isinstance(error.__cause__, CommandError)
        and "no file in" in str(error)
        and not settings.in_production
    ):
        raise CommandError(f"{error}{AHEAD}") from error
    if BEHIND in str(error) and not settings.in_production:
        raise CommandError(f"{error} (`make migrate` does it)") from error
    raise
except (DatabaseURLError, EmbeddedServerError, ModelError, SettingsError) as error:
    raise CommandError(str(error)) from error
