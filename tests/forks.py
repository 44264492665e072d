"""Commands in a copy of the project: forks of a process that has the libraries loaded.

It has nothing of `app` itself, so that each fork imports the copy's.
"""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from multiprocessing import get_context
from pathlib import Path

_processes = get_context("forkserver")
_processes.set_forkserver_preload(
    [__name__, "alembic_online", "email_validator", "psycopg", "pydantic_settings", "sqlmodel"]
)


def run_command(
    folder: Path, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program that a package has installed, and return all that it printed."""
    output = folder.with_suffix(".log")
    output.unlink(missing_ok=True)
    process = _processes.Process(target=_run, args=(folder, command, environment, output))
    process.start()
    process.join()
    return subprocess.CompletedProcess(command, process.exitcode or 0, output.read_text("utf-8"))


def _run(folder: Path, command: tuple[str, ...], environment: dict[str, str], output: Path) -> None:
    os.chdir(folder)
    os.environ.pop("DATABASE_URL", None)
    os.environ |= environment
    sys.path.insert(0, str(folder))
    sys.argv = list(command)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    (program,) = entry_points(group="console_scripts", name=command[0])
    program.load()()
