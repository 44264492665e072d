"""Real server processes on free ports, ended by the test that has started them."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
APP = str(Path(sys.executable).parent / "app")
_URL = re.compile(r"Uvicorn running on (\S+)")
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


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    url: str = ""
    output: list[str] = field(default_factory=list)

    def wait_until_ready(self) -> None:
        """Read what the process prints until it serves, and go on reading in a thread."""
        assert self.process.stdout is not None
        started = False
        for line in self.process.stdout:
            self.output.append(line)
            started = started or "Application startup complete" in line
            if found := _URL.search(line):
                self.url = found[1]
            if self.url and started:
                threading.Thread(target=self.output.extend, args=(self.process.stdout,)).start()
                return
        raise AssertionError("".join(self.output))


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
            server = Server(process)
            server.wait_until_ready()
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)
