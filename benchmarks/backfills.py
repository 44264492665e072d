"""How long others wait while a million rows get a value: one UPDATE, and `op.backfill`.

The clients are those of `benchmarks.migrations`; one run of `op.backfill` is killed three times.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from app.database.embedded import running_server
from benchmarks.migrations import (
    CLIENTS,
    OURS,
    STOCK,
    TABLES,
    Load,
    conninfo_of,
    say,
    write_project,
)

KILLS = 3
TOO_LONG = 0.05
LOG_WAITS = ("log_lock_waits=on", "deadlock_timeout=50ms")
RESET = 'UPDATE "user" SET display_name = NULL, filled = 0 WHERE filled > 0'
# `filled` tells whether a row was filled twice.
NAIVE = """op.execute('UPDATE "user" SET display_name = full_name, filled = filled + 1')"""
BATCHES = """op.backfill("user", {"display_name": sa.text("full_name"),
                                       "filled": sa.text("filled + 1")})"""
COLUMNS = """ALTER TABLE "user" ADD display_name varchar(255), ADD filled int NOT NULL DEFAULT 0"""
UNDO = """pass"""
PROGRESS = """SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"""
WRONG = 'SELECT count(*) FROM "user" WHERE filled <> 1 OR display_name IS DISTINCT FROM full_name'


@dataclass
class Waits(Load):
    """Keeps each statement's time, while something is measured."""

    times: list[float] = field(default_factory=list)
    counting: bool = False

    def note(self, seconds: float) -> None:
        if self.counting:
            self.times.append(seconds)

    def __str__(self) -> str:
        self.times.sort()
        count = len(self.times)
        late = sum(seconds > TOO_LONG for seconds in self.times)
        usual = self.times[int(count * 0.999)] * 1000
        longest = self.times[-1] * 1000
        return f"{count:,} | {usual:,.0f} ms | {longest:,.0f} ms | {late} | {self.failed}"


class Case:
    """A database whose rows are to be filled, by one upgrade that may be killed on its way."""

    def __init__(self, url: URL, rows: int, folder: Path) -> None:
        self.url, self.rows, self.folder = url, rows, folder

    def upgrade(self, load: Waits, kills: int = 0) -> float:
        seconds = 0.0
        for number in range(1, kills + 1):
            seconds += self._run(load, self.rows * number // (KILLS + 1))
        return seconds + self._run(load)

    def _run(self, load: Waits, killed_after: int | None = None) -> float:
        """Run the upgrade, and kill it once the time has come.

        What Python needs to start is not counted: elsewhere it would run on a machine of its own.
        """
        (self.folder / "loaded").unlink(missing_ok=True)
        start = time.monotonic()
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # ours
            while not (self.folder / "loaded").exists() and process.poll() is None:
                time.sleep(0.001)
            load.counting = True
            killed = self._wait(process, killed_after)
        load.counting = False
        if process.returncode != 0 and not killed:
            raise RuntimeError(f"{command} failed")
        return time.monotonic() - start

    def _wait(self, process: subprocess.Popen[bytes], killed_after: int | None) -> bool:
        while process.poll() is None:
            if killed_after is not None and self._seen() > killed_after:
                process.kill()
                return True
            time.sleep(0.1)
        return False

    def _seen(self) -> int:
        """Return how many rows the journal says are done."""
        with psycopg.connect(conninfo_of(self.url), autocommit=True) as connection:
            row = connection.execute(PROGRESS).fetchone()
        progress = json.loads(row[0]).get("progress") if row and row[0] else None
        return progress["seen"] if progress else 0


def measure(url: URL, env: str, upgrade: str, rows: int, kills: int = 0) -> str:
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS alembic_version")
        connection.execute(RESET)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        load = Waits(conninfo_of(url), rows)
        with tempfile.TemporaryDirectory() as name:
            write_project(Path(name), url, env, upgrade, UNDO)
            with load.running():
                seconds = Case(url, rows, Path(name)).upgrade(load, kills)
        found = connection.execute(WRONG).fetchone()
        if found != (0,):
            raise RuntimeError(f"{found} rows are wrong")
    return f"{seconds:.0f} s | {load}"


def counting_waits(log: Path | None, measured: Callable[[], str]) -> str:
    """Measure, and count the locks that the server itself saw waited for, whoever was slow."""
    before = count_waits(log)
    result = measured()
    return f"{result} | {count_waits(log) - before if log else '?'} |"


def count_waits(log: Path | None) -> int:
    return log.read_text("utf-8").count("still waiting for") if log else 0


def rest(url: URL, rows: int, seconds: float) -> str:
    """Watch the clients while nothing else happens."""
    load = Waits(conninfo_of(url), rows)
    with load.running():
        load.counting = True
        time.sleep(seconds)
    return f"{seconds:.0f} s | {load}"


def compare(url: URL, rows: int, log: Path | None) -> None:
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute(TABLES.format(rows=rows))
        connection.execute(COLUMNS)
    say(f"{rows:,} rows, {CLIENTS} clients; every row was filled once.\n")
    say(
        "| | took | statements | 99.9 % within | longest | over 50 ms | failed | locks over 50 ms |"
    )
    say("|---|---|---|---|---|---|---|---|")
    cases = {
        "the clients alone": lambda: rest(url, rows, 60),
        "one UPDATE": lambda: measure(url, STOCK, NAIVE, rows),
        "op.backfill": lambda: measure(url, OURS, BATCHES, rows),
        f"op.backfill, killed {KILLS} times": lambda: measure(url, OURS, BATCHES, rows, KILLS),
    }
    for title, measured in cases.items():
        say(f"| {title} | {counting_waits(log, measured)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", help="URL of an empty database; else one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = running_server(Path(folder), "max_wal_size=4GB", *LOG_WAITS)
        log = None if options.database else Path(folder) / "log"
        with nullcontext(make_url(options.database)) if options.database else server as url:
            compare(url.set(drivername="postgresql+psycopg"), options.rows, log)


if __name__ == "__main__":
    main()
