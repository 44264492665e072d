"""Make the development database anew: what `make reset` runs, once it was told yes."""

import subprocess
import sys

import psycopg
from psycopg import sql

from alembic_online.rehearse.copies import is_local
from app.database.embedded import EmbeddedServerError
from app.database.url import DatabaseURLError, database_url, libpq_uri, require_postgresql
from app.settings import PROJECT, SettingsError, read_settings


def reset() -> None:
    """Drop the database with all its rows, create it and migrate it."""
    settings = read_settings()
    with database_url(settings.given_database_url) as url:
        require_postgresql(url)
        name = str(url.database)
        if settings.in_production or not is_local(url):
            sys.exit(f"reset: {name} is in production, or on another machine: nothing is done")
        if input(f"Delete the database {name} with all its rows? Type its name: ") != name:
            sys.exit("reset: nothing is done")
        with psycopg.connect(libpq_uri(url.set(database="postgres")), autocommit=True) as server:
            quoted = sql.Identifier(name)
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))
            server.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603  # ours


if __name__ == "__main__":
    try:
        reset()
    except (DatabaseURLError, EmbeddedServerError, SettingsError, psycopg.Error) as error:
        sys.exit(f"reset: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("reset: nothing is done")
