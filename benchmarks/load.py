"""Drives a server with the requests of a file: wrk where it is installed, else a client like it.

What counts is the server's own CPU time, so that the figures of the two are close; a run uses one.
"""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path

import uvloop

_SCRIPT = Path(__file__).with_name("wrk.lua")
_TIMEOUT = 10  # seconds that an answer may take
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


Load = dict[str, float]
"""What the clients saw: `requests`, `seconds`, `failed`, and `p50` and `p99` in milliseconds."""


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "benchmarks.load"


def write_requests(path: Path, requests: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in requests))


def read_requests(path: Path) -> list[bytes]:
    requests, rest = [], path.read_bytes()
    position = 0
    while position < len(rest):
        start = rest.index(b"\n", position) + 1
        position = start + int(rest[position:start])
        requests.append(rest[start:position])
    return requests


def drive(port: int, path: Path, clients: int, seconds: int, start: int) -> Load:
    """Send the requests of a file, from number `start` on, and around again when they end."""
    url = f"http://127.0.0.1:{port}"
    if generator() == "wrk":
        options = ["-t1", f"-c{clients}", f"-d{seconds}s", f"--timeout={_TIMEOUT}s"]
        command = ["wrk", *options, f"-s{_SCRIPT}", url, "--", str(path), str(start)]
    else:
        numbers = (port, clients, seconds, start)
        command = [sys.executable, "-m", "benchmarks.load", str(path), *map(str, numbers)]
    said = subprocess.check_output(command, text=True)  # noqa: S603  # ours, or wrk
    load: Load = json.loads(said.splitlines()[-1])
    return load


async def _drive(path: Path, port: int, clients: int, seconds: int, start: int) -> Load:
    requests = read_requests(path)
    endless = islice(cycle(requests), start % len(requests), None)
    times: list[float] = []
    failed = 0

    async def be_client(end: float) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent_at := time.perf_counter()) < end:
            writer.write(next(endless))
            head = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(head):
                await reader.readexactly(int(length[1]))
            times.append(time.perf_counter() - sent_at)
            failed += not head.startswith(b"HTTP/1.1 2")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(be_client(began + seconds) for _ in range(clients)))
    hundredths = statistics.quantiles([each * 1000 for each in times], n=100)
    return {
        "requests": len(times),
        "seconds": time.perf_counter() - began,
        "p50": hundredths[49],
        "p99": hundredths[98],
        "failed": failed,
    }


if __name__ == "__main__":
    path, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(uvloop.run(_drive(Path(path), *map(int, numbers)))))
