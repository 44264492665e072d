"""The servers that are compared, and what they cost: CPU time and memory of all their processes."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

WORKERS = 2
_BIN = Path(sys.executable).parent
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_START = 60  # seconds that a server may take to answer

# As in production: behind a proxy on this machine, without its own mail worker and without `.env`.
_PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://service.example.com",
    "SECOND_FACTOR_KEYS": "a" * 43 + "=",
    "SMTP_URL": "smtp://127.0.0.1:25",
    "MAIL_FROM": "service@example.com",
    "MAIL_WORKER": "false",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    # The Dockerfile's: the memory for one password serves the next.
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
}
_QUIET = ("--no-access-log", "--log-level", "warning", "--no-server-header", "--no-proxy-headers")
COMMANDS = {
    "service": [str(_BIN / "app"), "run", "--no-migrate"],
    "bare": [str(_BIN / "uvicorn"), "benchmarks.bare:app", *_QUIET],
    "floor": [str(_BIN / "uvicorn"), "benchmarks.floor:app", *_QUIET],
}


class Server:
    """A server with its workers."""

    def __init__(self, process: psutil.Process, port: int) -> None:
        self._process = process
        self.port = port

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes so far, of those that have ended too."""
        return cpu_seconds(self._process)

    def worker_seconds(self) -> list[float]:
        """Return the CPU time of each worker so far, and of whatever else helps the server."""
        return [cpu_seconds(each) for each in self._process.children()]

    def memory(self) -> int:
        """Return the bytes that the largest worker has now."""
        return max(each.memory_info().rss for each in self._process.children(recursive=True))

    def peak_memory(self) -> int:
        """Return the most that a worker has had so far, where the system tells it."""
        return max(map(_peak_memory, self._process.children(recursive=True)))


def cpu_seconds(root: psutil.Process) -> float:
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # an autovacuum has just ended
            times = process.cpu_times()
            total += times.user + times.system
            if process == root:  # its children that have ended
                total += times.children_user + times.children_system
    return total


def _peak_memory(process: psutil.Process) -> int:
    try:
        found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text("ascii"))
    except FileNotFoundError:  # macOS
        found = None
    rss: int = process.memory_info().rss
    return max(rss, int(found[1]) * 1024 if found else 0)


@contextmanager
def running(kind: str, database_url: str, log: Path) -> Iterator[Server]:
    """Run one of `COMMANDS` with `WORKERS` workers until the block ends; it writes to `log`."""
    port = free_port()
    command = [*COMMANDS[kind], "--port", str(port), "--workers", str(WORKERS)]
    environment = clean_environment() | {"DATABASE_URL": database_url}
    if kind == "service":
        environment |= _PRODUCTION
    with (
        log.open("wb") as out,
        subprocess.Popen(  # noqa: S603  # our own
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        ) as process,
    ):
        try:
            wait_until_answers(port, process, log)
            server = Server(psutil.Process(process.pid), port)
            _wait_until_idle(server)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)


def clean_environment() -> dict[str, str]:
    """Return the environment, without what would make Python compile its modules at each start."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_answers(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until something answers; raise with the server's own words if it ends before."""
    for _ in range(_START * 50):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()  # our own
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"no answer: {log.read_text()}")


def _wait_until_idle(server: Server) -> None:
    """Wait until the other workers have started too, or something else keeps it busy."""
    before = -1.0
    for _ in range(_START):
        if (now := server.cpu_seconds()) <= before:
            return
        before = now
        time.sleep(1)
