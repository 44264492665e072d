"""What a request costs, beside a bare application and a floor in the same run: `make bench`.

For each data set all servers run on one PostgreSQL, and each workload is driven through them in
turns, so that whatever else the machine does hits both. CPU time per request is what counts.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import URL

from app.database.embedded import running_server
from app.database.url import libpq_uri
from benchmarks import data, floor, load, processes, report, startup
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).with_name("results")
# PostgreSQL as a small server of its own would be set; what is committed is on the disk.
POSTGRES = (
    *("shared_buffers=1GB", "max_wal_size=8GB", "maintenance_work_mem=256MB"),
    "max_connections=200",
)
PACKAGES = ("fastapi", "starlette", "pydantic", "sqlmodel", "sqlalchemy", "psycopg", "uvicorn")
_WITH_LOGINS = {"mix", "login"}
_WARM_UP = 2  # seconds: statements get prepared, caches filled
_TRIES = 10  # of a round in which the workers shall share the work


def main() -> None:
    options = read_options()
    if options.compare:
        report.compare(*(json.loads(path.read_text()) for path in options.compare))
        return
    if options.write_docs:
        report.write_docs(json.loads(options.write_docs.read_text()))
        return
    result = {"about": describe(options), "startup": startup.measure(), "data_sets": {}}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as name:
        folder = Path(name)
        with running_server(folder / "postgres", *POSTGRES) as server:
            for size in data.LARGE if options.large else map(data.Size, options.items):
                result["data_sets"][str(size.items)] = measure(server, folder, size, options)
    path = keep(result, options.label)
    report.write(result)
    say(f"\nKept in {path}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument(
        "--large", action="store_true", help="10 thousand and 1 million users; needs 12 GB"
    )
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--seconds", type=int, default=5, help="of one round of a workload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--label", default=f"{datetime.now(UTC):%Y-%m-%d-%H%M}")
    parser.add_argument("--folder", type=Path, help="for the database: 10 million items are 5 GB")
    parser.add_argument("--compare", nargs=2, type=Path, metavar="RESULT", help="show two results")
    parser.add_argument("--write-docs", type=Path, metavar="RESULT", help="into docs/benchmarks.md")
    return parser.parse_args()


def describe(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
        "commit": _say_git("rev-parse", "--short", "HEAD"),
        "changed": bool(_say_git("status", "--porcelain", "--untracked-files=no")),
        "machine": f"{os.cpu_count()} CPUs, {platform.system()}, {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "postgres": list(POSTGRES),
        "generator": load.generator(),
        "workers": processes.WORKERS,
        "seconds": options.seconds,
        "rounds": options.rounds,
    }


def _say_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip()


def measure(
    server: URL, folder: Path, size: data.Size, options: argparse.Namespace
) -> dict[str, Any]:
    """Measure the servers on a data set, and how large their workers became."""
    say(f"\n{size.items:,} items of {size.users:,} users")
    began = time.monotonic()
    url = data.create_database(server, size, floor.hasher.hash(data.PASSWORD))
    say(f"written in {time.monotonic() - began:.0f} s")
    postgres = find_postgres(folder)
    with ExitStack() as stack:
        servers = {
            kind: stack.enter_context(
                processes.running(kind, libpq_uri(url), folder / f"{kind}.log")
            )
            for kind in processes.COMMANDS
        }
        result: dict[str, Any] = {"users": size.users, "workloads": {}, "memory": {}}
        for name in options.workloads:
            if name in _WITH_LOGINS and not result["memory"]:  # hashing needs memory of its own
                result["memory"] = {kind: each.memory() for kind, each in servers.items()}
            load.write_requests(folder / "requests", WORKLOADS[name].requests(size))
            clients = WORKLOADS[name].clients
            rounds = drive(servers, postgres, folder / "requests", clients, options)
            result["workloads"][name] = rounds
            say(report.row(name, rounds))
        result["memory"] = result["memory"] or {k: each.memory() for k, each in servers.items()}
        result["peak_memory"] = {kind: each.peak_memory() for kind, each in servers.items()}
    return result


def drive(
    servers: dict[str, processes.Server],
    postgres: psutil.Process,
    requests: Path,
    clients: int,
    options: argparse.Namespace,
) -> dict[str, list[dict[str, float]]]:
    """Drive the servers in turns; return the rounds of each."""
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in servers}
    position = 0
    for number in range(options.rounds + 1):
        for kind, server in servers.items():
            seconds = options.seconds if number else _WARM_UP
            for tries in range(1, _TRIES + 1 if number else 2):
                send = partial(load.drive, server.port, requests, clients, seconds, position)
                seen = measure_round(server, postgres, send) | {"tries": tries}
                position += int(seen["requests"])
                if clients < report.SHARED or seen["share"] >= report.LEAST_SHARE:
                    break
            if number:
                rounds[kind].append(seen)
    return rounds


def measure_round(
    server: processes.Server, postgres: psutil.Process, drive: Callable[[], load.Load]
) -> load.Load:
    """Return what the clients saw, the CPU time, and the share of the worker that did less.

    Workers take connections from one socket, and of a few clients one worker may get them all. Its
    hashing has the processors for itself then, and a login costs a tenth less.
    """
    before = [server.cpu_seconds(), processes.cpu_seconds(postgres), *server.worker_seconds()]
    seen = drive()
    after = [server.cpu_seconds(), processes.cpu_seconds(postgres), *server.worker_seconds()]
    app, database, *workers = (b - a for a, b in zip(before, after, strict=True))
    *_, less, more = sorted(workers)
    answered = max(1, seen["requests"])
    return seen | {
        "app": app * 1e6 / answered,
        "postgres": database * 1e6 / answered,
        "share": less / (less + more),
    }


def find_postgres(folder: Path) -> psutil.Process:
    pid = (folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def keep(result: dict[str, Any], label: str) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{label}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
