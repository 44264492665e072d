"""How Alembic reaches the database, and where it learns what the tables should be."""

from logging.config import fileConfig

from alembic import context
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from app.database_url import DatabaseURLError, database_url
from app.embedded import EmbeddedServerError
from app.models import load_models
from app.settings import SettingsError, read_settings
from migration import online

# No answer at all, connections, passwords, the database's name, resources, shutting down.
UNREACHABLE = {"", "08", "28", "3D", "53", "57"}

config = context.config
load_models()
target_metadata = SQLModel.metadata

if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)
if len(heads := ScriptDirectory.from_config(config).get_heads()) > 1:
    raise CommandError(
        f"revisions {' and '.join(heads)} both come last: `make rebase-revision` puts the newer one"
        " on top of the other"
    )
try:
    # A program may set sqlalchemy.url, as the tests do; everyone else uses DATABASE_URL.
    given = config.get_main_option("sqlalchemy.url") or read_settings().given_database_url
    with database_url(given) as url:
        engine = create_engine(url, poolclass=NullPool)
        options = online.autogenerate_options(target_metadata, engine.dialect)
        online.run(context, engine, **options)
except OperationalError as error:
    if online.sqlstate(error)[:2] not in UNREACHABLE:  # then it is about a statement
        raise
    raise CommandError(f"the database cannot be used: {error.orig}") from error
except CommandError as error:
    if isinstance(error.__cause__, ResolutionError):
        raise CommandError(
            f"{error}: no file in migration/versions has it. If that is where the database is, a"
            " newer release has migrated it"
        ) from error
    raise
except (DatabaseURLError, EmbeddedServerError, SettingsError) as error:
    raise CommandError(str(error)) from error
