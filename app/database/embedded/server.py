"""Starting and stopping a PostgreSQL server on one folder."""

import os
import pwd
import shlex
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from app.database.embedded.programs import MAJOR_VERSION, EmbeddedServerError, call, run

_DATABASE = "app"
_PORT = "5432"
_SOCKET_FOLDER_BYTES = 85  # a socket's whole path may have 103 bytes on macOS, 107 on Linux
_CHILDREN_END = 10  # seconds that the children of a killed server may take to notice


class Server:
    """The server on the data of one folder, of which there is one at a time."""

    def __init__(self, folder: Path) -> None:
        self.data, self.log = folder / "data", folder / "log"

    def start(self, settings: tuple[str, ...]) -> URL:
        """Create the data if there is none, start the server if it does not run."""
        self._initialize()
        if not self._is_running():
            self._launch(settings)
        return self._create_database()

    def stop(self) -> None:
        socket_folder = self._socket_folder()
        if self._is_running():  # unless it was killed meanwhile, which the next start mends
            run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)
        if socket_folder and socket_folder != self.data:
            shutil.rmtree(socket_folder, ignore_errors=True)

    def _initialize(self) -> None:
        version = self.data / "PG_VERSION"
        if not self.data.exists():
            # Made elsewhere and moved into place: an interrupted initdb leaves nothing half made.
            new = self.data.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            run(
                "initdb",
                *("--username=postgres", "--auth=trust", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("--no-sync", "--no-instructions", "-D", new),
            )
            new.rename(self.data)
        try:
            found = version.read_text().strip()
        except OSError as error:
            raise EmbeddedServerError(
                f"cannot read {version} ({error.strerror}): the data there belongs to another user"
                " or is damaged; move the folder away, or set DATABASE_URL"
            ) from error
        if found != MAJOR_VERSION:
            raise EmbeddedServerError(
                f"{self.data} was made by PostgreSQL {found}, this is {MAJOR_VERSION}: keep it with"
                f" PostgreSQL {found}'s pg_dump and move the folder away, or set DATABASE_URL"
            )

    def _is_running(self) -> bool:
        folder = self._socket_folder()
        if folder is None:
            return False
        return call("pg_isready", "-q", "-h", folder, "-p", _PORT).returncode == 0

    def _launch(self, settings: tuple[str, ...]) -> None:
        options = [f"-k{self._new_socket_folder()}", f"-p{_PORT}", "-clisten_addresses="]
        options += [f"-c{setting}" for setting in settings]
        start = ("-w", "-D", self.data, "-l", self.log, "-o", shlex.join(options), "start")
        self._remove_stale_locks()
        self.log.unlink(missing_ok=True)  # so that its last words are this server's
        done = call("pg_ctl", *start)
        if done.returncode != 0:
            reason = self._last_words() or done.stderr.strip()
            raise EmbeddedServerError(f"PostgreSQL does not start: {reason} ({self.log})")

    def _remove_stale_locks(self) -> None:
        """Remove the lock files of a server that was killed, once nothing works in its data.

        PostgreSQL itself goes by the process id in the file. That may be another process's by now,
        or a zombie's, in a container whose first process reaps none.
        """
        locks = [self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*.lock")]
        if not any(lock.exists() for lock in locks):
            return
        import psutil  # noqa: PLC0415  # comes with the server, which production does not have

        processes = psutil.process_iter(["cwd"])
        children = [each for each in processes if each.info["cwd"] == str(self.data)]
        if not psutil.wait_procs(children, timeout=_CHILDREN_END)[1]:
            for lock in locks:
                lock.unlink(missing_ok=True)

    def _create_database(self) -> URL:
        host = str(self._socket_folder())
        with psycopg.connect(
            host=host, port=int(_PORT), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
            if found.rowcount == 0:
                create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE))
                connection.execute(create)
        query = {"host": host, "port": _PORT}
        return URL.create("postgresql", username="postgres", database=_DATABASE, query=query)

    def _socket_folder(self) -> Path | None:
        """Line 5 of postmaster.pid, a file that a killed server leaves behind."""
        with suppress(OSError, IndexError):
            return Path((self.data / "postmaster.pid").read_text().splitlines()[4])
        return None

    def _new_socket_folder(self) -> Path:
        """Choose the data folder, or a private temporary one if it makes no valid socket name."""
        folder = os.fsencode(self.data)
        if len(folder) <= _SOCKET_FOLDER_BYTES and not set(folder) & set(b",\"'\\"):
            return self.data
        temporary = tempfile.mkdtemp(prefix="postgres-")
        if os.geteuid() == 0:
            os.chown(temporary, pwd.getpwnam("nobody").pw_uid, -1)
        return Path(temporary)

    def _last_words(self) -> str:
        with suppress(OSError):
            for line in reversed(self.log.read_text(errors="replace").splitlines()):
                for severity in ("FATAL:", "PANIC:"):
                    if severity in line:
                        return line.partition(severity)[2].strip()
        return ""
