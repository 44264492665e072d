"""Try the pending revisions on a copy of a database: what `make rehearse` runs."""

import os
import sys
from contextlib import ExitStack

from alembic.config import Config

from alembic_online import configured_url
from alembic_online.rehearse.__main__ import main
from alembic_online.rehearse.copies import is_local
from app.database.embedded import EmbeddedServerError
from app.database.embedded.programs import find_binaries
from app.database.url import DatabaseURLError, database_url, libpq_uri
from app.settings import SettingsError, read_settings


def rehearse(url: str, server: str) -> int:
    """Take the database that Alembic would, and the embedded server for the copy of a remote one.

    An empty string stands for what the caller does not name.
    """
    settings = read_settings()
    given = url or settings.given_database_url or configured_url(Config("alembic.ini"))
    with ExitStack() as stack:
        place = "URL" if url else "DATABASE_URL"
        source = stack.enter_context(database_url(given, place, settings.database_schema))
        os.environ["DATABASE_URL"] = libpq_uri(source)  # env.py is to start no other
        arguments = [libpq_uri(source)]
        if server or not is_local(source):
            other = stack.enter_context(database_url(server or None, "SERVER"))
            arguments += ["--server", libpq_uri(other)]
        os.environ["PATH"] = f"{find_binaries()}{os.pathsep}{os.environ['PATH']}"
        return main(arguments)


if __name__ == "__main__":
    try:
        sys.exit(rehearse(*sys.argv[1:]))
    except (DatabaseURLError, EmbeddedServerError, SettingsError) as error:
        sys.exit(f"rehearse: {error}")
