"""Make the development database anew: what `make reset` runs, once it was told yes."""

import subprocess
import sys

import psycopg
from psycopg import sql
from sqlalchemy import URL

from alembic_online.rehearse.copies import is_local
from app.database.embedded import EmbeddedServerError
from app.database.url import DEFAULT_SCHEMA, DatabaseURLError, libpq_uri, require_postgresql
from app.settings import PROJECT, SettingsError, read_settings

MAY_CREATE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
TABLES = """
    SELECT relowner::regrole::text, string_agg(relname, ', ' ORDER BY relname)
    FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'f') AND nspname NOT LIKE 'pg\\_%%'
        AND nspname <> 'information_schema' AND nspname LIKE %s
    GROUP BY 1 ORDER BY 1
"""


def require_create(url: URL) -> None:
    """Leave the database alone if its role could drop it, and not make it again."""
    with psycopg.connect(libpq_uri(url)) as connection:
        (may_create,) = connection.execute(MAY_CREATE).fetchone() or (False,)
    if not may_create:
        sys.exit(
            f"reset: {url.username} may not make databases: ALTER ROLE {url.username} CREATEDB, or"
            " say DATABASE_SCHEMA, and only the schema is made anew; nothing is done"
        )


def describe_tables(url: URL, schema: str) -> str:
    """Name the tables that would go, by their owners: another application's may be among them."""
    with psycopg.connect(libpq_uri(url)) as connection:
        found = connection.execute(TABLES, [schema]).fetchall()
    return "".join(f"Tables of {owner}: {names}\n" for owner, names in found)


def make_database_anew(url: URL, name: sql.Identifier) -> None:
    with psycopg.connect(libpq_uri(url.set(database="postgres")), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))


def drop_schema(url: URL, name: sql.Identifier) -> None:
    """Leave what others have in the database; the migration makes the schema."""
    with psycopg.connect(libpq_uri(url)) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))


def reset() -> None:
    """Drop the database, or our schema of it, with all rows, create it and migrate it."""
    settings = read_settings()
    ours = settings.database_schema
    with settings.open_database_url() as url:
        require_postgresql(url)
        is_shared = ours != DEFAULT_SCHEMA
        kind, name = ("schema", ours) if is_shared else ("database", str(url.database))
        if settings.in_production or not is_local(url):
            sys.exit(f"reset: {name} is in production, or on another machine: nothing is done")
        if not is_shared:
            require_create(url)
        sys.stdout.write(describe_tables(url, ours if is_shared else "%"))
        if input(f"Delete the {kind} {name} with all its rows? Type its name: ") != name:
            sys.exit("reset: nothing is done")
        drop = drop_schema if is_shared else make_database_anew
        drop(url, sql.Identifier(name))
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603  # ours


if __name__ == "__main__":
    try:
        reset()
    except (DatabaseURLError, EmbeddedServerError, SettingsError, psycopg.Error) as error:
        sys.exit(f"reset: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("reset: nothing is done")
