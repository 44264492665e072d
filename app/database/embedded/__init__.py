"""The PostgreSQL that runs when DATABASE_URL is unset.

Whoever needs the server holds a shared lock while they do: the first one in starts it, the last
one out stops it. The kernel drops the lock of a killed process, so no count can go wrong, and a
server that was left behind is simply found running.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

from sqlalchemy import URL

from app.database.embedded.programs import EmbeddedServerError
from app.database.embedded.server import Server

__all__ = ["EmbeddedServerError", "running_server"]


@contextmanager
def running_server(folder: Path, *settings: str) -> Iterator[URL]:
    """Run PostgreSQL on the data in `folder` and yield the URL of the service's database.

    `settings`, such as `"fsync=off"`, count if this call is the one that starts the server.
    """
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        users, starting = (folder / "users.lock").open("a"), (folder / "starting.lock").open("a")
    except OSError as error:
        raise EmbeddedServerError(
            f"cannot write to {folder} ({error.strerror}): make it writable, or set DATABASE_URL"
        ) from error
    server = Server(folder)
    with users:
        with starting:
            flock(users, LOCK_SH)
            flock(starting, LOCK_EX)
            url = server.start(settings)
        try:
            yield url
        finally:
            with suppress(BlockingIOError):  # raised while others use the server
                flock(users, LOCK_EX | LOCK_NB)
                server.stop()
