"""A mail server that is away, and workers that are killed: with real processes."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import pytest
from alembic import command
from anyio import to_thread
from psycopg import AsyncConnection, connect
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.databases import alembic_config
from tests.servers import running_worker
from tests.smtp_server import Catcher, read_text, running_smtp_server

MAILS = 8


class Outbox:
    """The outbox of the workers' database, on a connection of the test's own."""

    def __init__(self, url: URL, connection: "AsyncConnection[Any]") -> None:
        self.url = libpq_uri(url)
        self._connection = connection

    async def query(self, statement: str) -> list[Any]:
        cursor = await self._connection.execute(statement.encode())
        return [row[0] for row in await cursor.fetchall()] if cursor.description else []

    async def wait_for(self, condition: str, count: int = 1) -> None:
        """Wait until as many mails are like that."""
        mails = f"SELECT count(*) FROM outbox WHERE {condition}"
        async with asyncio.timeout(90):
            while (await self.query(mails))[0] < count:  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.05)


@pytest.fixture
async def outbox(create_database: Callable[[], URL]) -> AsyncIterator[Outbox]:
    """A database of the test's own, where users wait for a mail each."""
    url = create_database()
    await to_thread.run_sync(command.upgrade, alembic_config(url), "head")
    async with await AsyncConnection.connect(libpq_uri(url), autocommit=True) as connection:
        outbox = Outbox(url, connection)
        await outbox.query(
            'INSERT INTO "user" (id, email, is_active, is_superuser, hashed_password)'
            " SELECT gen_random_uuid(), 'user' || i || '@example.com', true, false, '!'"
            f" FROM generate_series(1, {MAILS}) AS i"
        )
        await outbox.query(
            "INSERT INTO outbox (id, kind, payload, attempts) SELECT gen_random_uuid(),"
            " 'password_reset', json_build_object('email', email), 0 FROM \"user\""
        )
        yield outbox


async def end(process: "subprocess.Popen[str]") -> int:
    return await to_thread.run_sync(lambda: process.wait(timeout=30))


async def wait_for_mail(smtp: Catcher, count: int = 1) -> None:
    async with asyncio.timeout(90):
        while len(smtp.messages) < count:  # noqa: ASYNC110  # the server has no event of it
            await asyncio.sleep(0.01)


async def check_links(outbox: Outbox, smtp: Catcher) -> None:
    """Check that everybody has been sent a mail whose link works: the last one."""
    last = {message["To"]: read_text(message) for message in smtp.messages}
    assert len(last) == MAILS
    tokens = [re.findall(r"^uml_\S+$", text, re.MULTILINE)[0] for text in last.values()]
    stored = await outbox.query("SELECT token_hash FROM email_token")
    assert {sha256(token.encode()).digest() for token in tokens} == {*stored}


async def test_every_mail_arrives_though_server_and_workers_fail(outbox: Outbox) -> None:
    async with running_smtp_server() as smtp:
        pass
    settings = {"DATABASE_URL": outbox.url, "SMTP_URL": smtp.url}
    with running_worker(**settings) as worker:
        await outbox.wait_for("last_error LIKE 'SMTPConnectError%'")
        async with running_smtp_server(smtp.port) as smtp:
            smtp.may_answer.clear()
            await outbox.query("UPDATE outbox SET run_at = now()")  # as if time passed
            await wait_for_mail(smtp, 2)  # one that has failed, and one that was not tried yet
            worker.process.kill()
            await end(worker.process)
            smtp.may_answer.set()
            with running_worker(**settings) as another:
                await outbox.wait_for("sent_at IS NOT NULL", MAILS - 2)
                assert len(smtp.messages) == MAILS  # those in flight are not sent again at once
                smtp.may_answer.clear()
                await outbox.query("UPDATE outbox SET locked_until = now(), run_at = now()")
                await wait_for_mail(smtp, MAILS + 1)
                await check_graceful_end(another.process, smtp)
    assert await outbox.query("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [1]
    assert len(smtp.messages) == MAILS + 1
    assert len({message["Message-ID"] for message in smtp.messages}) == MAILS
    await check_links(outbox, smtp)


async def check_graceful_end(process: "subprocess.Popen[str]", smtp: Catcher) -> None:
    """Check that a worker which is told to stop finishes the mail in flight."""
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        await to_thread.run_sync(lambda: process.wait(timeout=0.5))
    smtp.may_answer.set()
    assert await end(process) == 0


def test_worker_logs_as_the_service_does(migrated_database: URL) -> None:
    production = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": libpq_uri(migrated_database),
        "PUBLIC_URL": "https://app.example.com",
        "SECOND_FACTOR_KEYS": "a" * 43 + "=",
        "SMTP_URL": "smtp://127.0.0.1:1?tls=off",
        "MAIL_FROM": "no-reply@example.com",
    }
    with connect(production["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "INSERT INTO outbox (id, kind, payload, attempts)"
            " VALUES (gen_random_uuid(), 'unheard of', '{}', 0)"
        )
        with running_worker(**production) as worker:
            worker.wait_for(r'^\{.*"event": "mail_not_written"')
        connection.execute("TRUNCATE outbox")
