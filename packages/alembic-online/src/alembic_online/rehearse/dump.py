"""`pg_dump` of one database into `pg_restore` of another, without a file between them."""

import os
import shutil
import subprocess
import tempfile
from typing import IO

import sqlalchemy as sa
from alembic.util import CommandError

# Owners and rights are of roles that the other server need not have.
_DUMP = ("--format=custom", "--compress=0", "--no-publications", "--no-subscriptions")
_RESTORE = ("--no-owner", "--no-privileges", "--exit-on-error")


def copy_by_dump(source: sa.URL, copy: sa.URL) -> None:
    with tempfile.TemporaryFile("w+") as said_by_dump, tempfile.TemporaryFile("w+") as said:
        dump = _start("pg_dump", source, *_DUMP, stdout=subprocess.PIPE, stderr=said_by_dump)
        with dump, _start("pg_restore", copy, *_RESTORE, stdin=dump.stdout, stderr=said) as restore:
            try:
                if dump.stdout:
                    dump.stdout.close()  # pg_dump is to notice when pg_restore ends
                failed = {"pg_restore": restore.wait(), "pg_dump": dump.wait()}
            finally:
                dump.kill()
                restore.kill()
        for program, file in (("pg_dump", said_by_dump), ("pg_restore", said)):
            if failed[program]:
                raise CommandError(f"the copy cannot be made: {_first_line(file)}")


def _start(
    program: str, url: sa.URL, *options: str, **streams: int | IO[str] | IO[bytes] | None
) -> subprocess.Popen[bytes]:
    path = shutil.which(program)
    if path is None:
        raise CommandError(f"{program} is needed on the path to copy a database that is in use")
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    command = [path, *options, f"--dbname={_plain(url)}"]
    return subprocess.Popen(command, env=environment, **streams)  # type: ignore[call-overload, no-any-return]  # noqa: S603


def _plain(url: sa.URL) -> str:
    """Write the URL as libpq reads it, for whom `+` in a query is no space, without a password."""
    bare = sa.URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    base, mark, query = bare.render_as_string().partition("?")
    return base.replace("+", "%2B").replace(" ", "%20") + mark + query.replace("+", "%20")


def _first_line(file: IO[str]) -> str:
    file.seek(0)
    return next((line.strip() for line in file if "error" in line), "it was interrupted")
