"""Real server processes on free ports, ended by the test that has started them."""

import os
import queue
import re
import shutil
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
    """Copy what git does not ignore, as it is in the work tree."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.check_output(files, cwd=ROOT, text=True)
    for name in tracked.split("\0")[:-1]:
        if not (ROOT / name).exists():  # deleted, and not committed yet
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


class Server:
    """A server process; what it prints is read all the time, so that it never has to wait."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed = ""  # so far
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        # Without reload, the second line comes before the first.
        self.url = self.wait_for(r"Uvicorn running on (\S+)", r"startup complete")[0]

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


@contextmanager
def running_app(*options: str, folder: Path = ROOT, **environment: str) -> Iterator[Server]:
    """Run `app run` until the block ends; the process is told to stop, and waited for."""
    with subprocess.Popen(
        [APP, "run", "--port", "0", *options],
        cwd=folder,
        env=os.environ | _DEFAULTS | {"PYTHONPATH": str(folder)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()
            process.wait(timeout=30)
