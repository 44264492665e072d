"""Whether every mail arrives, and when: 500 resets while the mail server is away, workers killed.

`python -m benchmarks.mail_outage` starts the service, requests the resets, brings the mail server
back, and kills a worker with -9 in the middle of a delivery, several times. It prints how many
mails arrived, how many twice, and how long that took; part of which is the lease of the killed.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from httpx2 import AsyncClient
from sqlalchemy import URL

from app.database.embedded import running_server
from app.database.url import libpq_uri
from tests.servers import APP, Server, running_app
from tests.smtp_server import Catcher, running_smtp_server

ROOT = Path(__file__).parents[1]
RESET = "/api/v1/auth/password-reset"
CLIENTS = 16
VAIN_TRIES = 5


async def main(mails: int, kills: int) -> int:
    with migrated_database() as url:
        add_users(url, mails)
        async with running_smtp_server() as smtp:
            pass
        settings = {"DATABASE_URL": libpq_uri(url), "SMTP_URL": smtp.url, "MAIL_WORKER": "false"}
        with running_app(folder=ROOT, **settings, TRUSTED_PROXIES="127.0.0.1") as server:
            async with running_worker(settings), running_worker(settings):
                seconds = await request_resets(server, mails)
                tell(f"{mails} resets were requested in {seconds:.1f} s, without a mail server")
                await wait_until(lambda: count(url, "last_error IS NOT NULL") >= VAIN_TRIES)
                tell(f"{VAIN_TRIES} of them were tried in vain")
            async with running_smtp_server(smtp.port) as smtp:
                return await deliver(url, settings, smtp, mails, kills)


async def deliver(url: URL, settings: dict[str, str], smtp: Catcher, mails: int, kills: int) -> int:
    """Bring the mail server back, kill workers, and report."""
    started = time.monotonic()
    for number in range(1, kills + 1):
        await kill_in_flight(settings, smtp, after=number * mails // (kills + 2))
    async with running_worker(settings), running_worker(settings):
        await wait_until(lambda: count(url, "sent_at IS NULL") == 0)
    seconds = time.monotonic() - started
    arrived = Counter(message["To"] for message in smtp.messages)
    twice = sum(arrived.values()) - len(arrived)
    tell(f"{len(arrived)} of {mails} arrived in {seconds:.1f} s, {kills} workers killed meanwhile")
    tell(f"{twice} came twice, with the same Message-ID")
    same_id = len({message["Message-ID"] for message in smtp.messages}) == len(arrived)
    return 0 if len(arrived) == mails and twice <= kills and same_id else 1


async def kill_in_flight(settings: dict[str, str], smtp: Catcher, after: int) -> None:
    """Kill a worker that has handed a mail over and was not told that it was taken."""
    async with running_worker(settings) as worker:
        await wait_until(lambda: len(smtp.messages) >= after)
        smtp.may_answer.clear()
        seen = len(smtp.messages)
        await wait_until(lambda: len(smtp.messages) > seen)
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        smtp.may_answer.set()


async def request_resets(server: Server, mails: int) -> float:
    """Ask for a reset for each user; the answers are all 202."""
    started = time.monotonic()
    numbers = iter(range(mails))
    async with AsyncClient(base_url=server.url, timeout=30) as client:

        async def request() -> None:
            for number in numbers:
                body = {"email": f"user{number}@example.com"}
                # From a place each, since one place may not ask that often.
                headers = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
                answer = await client.post(RESET, json=body, headers=headers)
                answer.raise_for_status()

        await asyncio.gather(*(request() for _ in range(CLIENTS)))
    return time.monotonic() - started


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # it is about other processes
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running_worker(settings: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    devnull = asyncio.subprocess.DEVNULL
    worker = await asyncio.create_subprocess_exec(
        APP, "worker", env=os.environ | settings, stdout=devnull, stderr=devnull
    )
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.terminate()
            await worker.wait()


@contextmanager
def migrated_database() -> Iterator[URL]:
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as url:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "migration").replace("%", "%%"))
        text = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
        command.upgrade(config, "head")
        yield url


def add_users(url: URL, count: int) -> None:
    with psycopg.connect(libpq_uri(url)) as connection:
        connection.execute(
            'INSERT INTO "user" (id, email, is_active, is_superuser, hashed_password)'
            " SELECT gen_random_uuid(), 'user' || i || '@example.com', true, false, '!'"
            " FROM generate_series(0, %s) AS i",
            [count - 1],
        )


def count(url: URL, condition: str) -> int:
    with psycopg.connect(libpq_uri(url)) as connection:
        found = connection.execute(
            f"SELECT FROM outbox WHERE {condition}".encode()
        )  # our own words
        return found.rowcount


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=500)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.mails, arguments.kills)))
