"""How long a signed-in user waits, and how much memory grows, while strangers try to sign in.

The service runs as one process, with its own database and the real cost of a password. Twice it is
flooded: from one address, where the limits answer, and from as many addresses as there are
requests, where only the bounded queue of passwords protects the others.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

from app.database.embedded import running_server
from app.database.url import libpq_uri
from tests.factories import make_account
from tests.servers import running_app

ROOT = Path(__file__).parents[1]
ACCOUNT = {"username": "ada@example.com", "password": "correct horse battery staple"}
PAUSE = 0.02  # seconds between two of the user's requests
MIB = 1024  # KiB


class Connection:
    """HTTP/1.1 on one socket, with as little work as can be: the machine is the service's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Self:
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def request(self, line: str, *headers: str, body: str = "") -> tuple[int, str]:
        """Send a request such as `GET /healthz`; return the status and the body."""
        length = f"Content-Length: {len(body)}"
        lines = [f"{line} HTTP/1.1", "Host: test", *headers, length]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        _, found, rest = head.partition("content-length: ")
        answer = await self._reader.readexactly(int(rest.split("\r\n")[0]) if found else 0)
        return int(head.split()[1]), answer.decode()

    async def log_in(self, form: dict[str, str], *headers: str) -> tuple[int, str]:
        kind = "Content-Type: application/x-www-form-urlencoded"
        return await self.request("POST /api/v1/auth/login", kind, *headers, body=urlencode(form))


@dataclass
class Observation:
    """What one signed-in user sees, in milliseconds, and the service's memory, in KiB."""

    waits: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    failed: int = 0

    def describe(self) -> str:
        cuts = statistics.quantiles(self.waits, n=100)
        return (
            f"{len(self.waits)} x GET /users/me: median {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms,"
            f" longest {max(self.waits):.0f} ms, {self.failed} failed;"
            f" memory at most {max(self.memory) // MIB} MiB"
        )


async def observe(url: str, token: str, seconds: float, process: int) -> Observation:
    """Read the own account again and again."""
    seen = Observation()
    connection = await Connection.open(url)
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        line = "GET /api/v1/users/me"
        status, _ = await connection.request(line, f"Authorization: Bearer {token}")
        seen.waits.append((time.perf_counter() - started) * 1000)
        seen.failed += status != 200  # noqa: PLR2004  # OK
        if len(seen.waits) % 20 == 1:
            seen.memory.append(await asyncio.to_thread(measure_memory, process))
        await asyncio.sleep(PAUSE)
    return seen


def measure_memory(process: int) -> int:
    """Return what a process holds in memory, in KiB."""
    command = ["ps", "-o", "rss=", "-p", str(process)]
    return int(subprocess.check_output(command, text=True))  # noqa: S603  # no input of others


async def flood(url: str, seconds: float, clients: int, *, one_address: bool) -> Counter[int]:
    """Try to sign in as nobody on many connections, each again as soon as it is answered."""
    end = time.perf_counter() + seconds
    statuses: Counter[int] = Counter()

    async def try_again_and_again() -> None:
        connection = await Connection.open(url)
        while time.perf_counter() < end:
            number = random.getrandbits(32)
            address = ".".join(str(byte) for byte in number.to_bytes(4, "big"))
            origin = "198.51.100.1" if one_address else address
            form = {"username": f"nobody{number}@example.com", "password": "a wrong password"}
            status, _ = await connection.log_in(form, f"X-Forwarded-For: {origin}")
            statuses[status] += 1

    await asyncio.gather(*(try_again_and_again() for _ in range(clients)))
    return statuses


def flood_from_another_process(url: str, seconds: float, clients: int, one_address: bool) -> None:  # noqa: FBT001  # a process passes by position
    statuses = asyncio.run(flood(url, seconds, clients, one_address=one_address))
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    tell(f"  logins: {answers}")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def sign_up(url: str) -> str:
    """Return an access token."""
    connection = await Connection.open(url)
    body = json.dumps(make_account(ACCOUNT["username"], password=ACCOUNT["password"]))
    kind = "Content-Type: application/json"
    status, answer = await connection.request("POST /api/v1/auth/signup", kind, body=body)
    assert status == 201, answer  # noqa: PLR2004, S101  # Created
    _, answer = await connection.log_in(ACCOUNT)
    return answer.split('"access_token":"')[1].split('"')[0]


def measure(url: str, process: int, seconds: float, clients: int) -> None:
    token = asyncio.run(sign_up(url))
    calm = asyncio.run(observe(url, token, seconds / 4, process))
    tell(f"undisturbed\n  {calm.describe()}")
    for title, one_address in (("one address", True), ("many addresses", False)):
        tell(f"{clients} connections from {title}, {seconds:.0f} s")
        flooding = multiprocessing.get_context("spawn").Process(
            target=flood_from_another_process, args=(url, seconds, clients, one_address)
        )
        flooding.start()
        seen = asyncio.run(observe(url, token, seconds, process))
        flooding.join()
        growth = (max(seen.memory) - max(calm.memory)) // MIB
        tell(f"  {seen.describe()} ({growth:+d} MiB)")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--clients", type=int, default=100)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as database:
        settings = {"TRUSTED_PROXIES": "127.0.0.1", "PASSWORD_HASH_MEMORY": "47104"}
        with running_app(folder=ROOT, DATABASE_URL=libpq_uri(database), **settings) as server:
            measure(server.url, server.process.pid, given.seconds, given.clients)


if __name__ == "__main__":
    main()
