"""Real server processes on free ports, ended by the test that has started them."""

import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
APP = str(Path(sys.executable).parent / "app")
_DEFAULTS = {"ENVIRONMENT": "development", "PASSWORD_HASH_MEMORY": "8"}


def copy_repository(folder: Path) -> Path:
    """Copy what git does not ignore, as it is in the work tree; git itself need not be here."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    ignore = shutil.ignore_patterns(".git", *ignored)
    return Path(shutil.copytree(ROOT, folder, ignore=ignore, dirs_exist_ok=True))


class Process:
    """A process; what it prints is read all the time, so that it never has to wait."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed = ""  # so far
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            self._lines.put(line)

    def wait_for(self, *patterns: str) -> list[str]:
        """Wait until lines with all the patterns were printed; return each one's first group."""
        found: dict[str, str] = {}
        printed = ""
        while len(found) < len(patterns):
            try:
                printed += (line := self._lines.get(timeout=60))
            except queue.Empty:
                raise AssertionError(printed) from None
            for pattern in patterns:
                if match := re.search(pattern, line):
                    found[pattern] = match[match.lastindex or 0]
        return [found[pattern] for pattern in patterns]


class Server(Process):
    """A server that answers requests at `url`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(process)
        # Without reload, the second line comes before the first.
        self.url = self.wait_for(r"Uvicorn running on (\S+)", r"startup complete")[0]


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running_app(*options: str, folder: Path = ROOT, **environment: str) -> Iterator[Server]:
    """Run `app run` until the block ends; the process is told to stop, and waited for."""
    with _running(["run", "--port", "0", *options], folder, environment) as process:
        yield Server(process)


@contextmanager
def running_worker(**environment: str) -> Iterator[Process]:
    """Run `app worker` until the block ends, or it has ended by itself."""
    with _running(["worker"], ROOT, environment) as process:
        yield Process(process)


@contextmanager
def _running(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [APP, *arguments],
        cwd=folder,
        env=os.environ | _DEFAULTS | {"PYTHONPATH": str(folder)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)
