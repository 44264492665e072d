"""A worker that hands mail to an SMTP server of the test's own."""

from collections.abc import AsyncIterator
from email.headerregistry import Address

import pytest

from app.auth.purge import purge_expired
from app.database.transactions import Database
from app.mail.messages import Composer
from app.mail.smtp import SMTPOutlet, SMTPServer
from app.mail.worker import MailWorker
from tests.smtp_server import Catcher, running_smtp_server

PUBLIC_URL = "https://app.example.com"
SENDER = Address("Marble shop", addr_spec="no-reply@example.com")


@pytest.fixture
async def smtp() -> AsyncIterator[Catcher]:
    async with running_smtp_server() as server:
        yield server


@pytest.fixture
def composer() -> Composer:
    return Composer(public_url=PUBLIC_URL, sender=SENDER)


@pytest.fixture
def worker(database: Database, smtp: Catcher, composer: Composer) -> MailWorker:
    return new_worker(database, smtp, composer)


def new_worker(database: Database, smtp: Catcher, composer: Composer) -> MailWorker:
    outlet = SMTPOutlet(SMTPServer.parse(smtp.url))
    return MailWorker(database, outlet, composer, tidy=purge_expired)
