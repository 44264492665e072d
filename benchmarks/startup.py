"""How long it takes until the service can be used."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import clean_environment, free_port, wait_until_answers

_ROOT = Path(__file__).parents[1]
_COPIED = ("app", "migration", "alembic.ini", "pyproject.toml")
_TIMES = 5


def measure() -> dict[str, tuple[float, float]]:
    """Return the seconds, and the seconds that it may take."""
    imports = [_seconds_of(sys.executable, "-c", "import app.main") for _ in range(1 + _TIMES)]
    return {
        "`import app.main`": (statistics.median(imports[1:]), 1.0),
        "`make run`, warm": (_warm_start(), 4.0),
    }


def _seconds_of(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=_ROOT, env=clean_environment(), check=True)  # noqa: S603  # ours
    return time.perf_counter() - start


def _warm_start() -> float:
    """Start what `make run` starts, its own PostgreSQL too, in a copy; the first start is cold."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        for each in _COPIED:
            copy = shutil.copytree if (_ROOT / each).is_dir() else shutil.copy
            copy(_ROOT / each, folder / each)
        seconds = [_start(folder) for _ in range(1 + _TIMES)]
    return statistics.median(seconds[1:])


def _start(folder: Path) -> float:
    """Return the seconds until the first answer."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("app")), "run", "--reload", "--port", str(port)]
    environment = {**clean_environment(), "PYTHONPATH": str(folder), "ENVIRONMENT": "development"}
    environment.pop("DATABASE_URL", None)
    start = time.perf_counter()
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(  # noqa: S603  # our own
            command, cwd=folder, env=environment, stdout=out, stderr=out
        ) as process,
    ):
        try:
            wait_until_answers(port, process, log)
            return time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(timeout=60)
