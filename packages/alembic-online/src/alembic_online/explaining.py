"""What to do about refusals of Alembic itself that only say what is wrong."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError


@contextmanager
def explaining_missing_files(script: ScriptDirectory) -> Iterator[None]:
    """Say what it means that the database is at a revision that no file has."""
    try:
        yield
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            folder = os.path.relpath(script.versions)
            raise CommandError(
                f"{error}: no file in {folder} has it. If that is where the database is, a newer"
                " release has migrated it"
            ) from error
        raise


@contextmanager
def explaining_old_database(context: MigrationContext) -> Iterator[None]:
    """Say what to run where a database is not up to date, which the models are compared with."""
    try:
        yield
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError) or context.script is None:
            raise
        found, newest = set(context.get_current_heads()), set(context.script.get_heads())
        if found == newest:
            raise
        raise CommandError(
            f"{error} It is at {_names(found)}, and the newest revision is {_names(newest)}: run"
            " `alembic upgrade head`, then this again"
        ) from error


def _names(revisions: set[str]) -> str:
    return " and ".join(sorted(revisions)) or "no revision"
