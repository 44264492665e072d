import asyncio
from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.testing import capture_logs

from app.database.transactions import Database
from app.mail.messages import Composer
from app.mail.models import Outbox
from app.mail.service import PASSWORD_RESET, enqueue
from app.mail.worker import MailWorker, running
from app.users.models import User
from tests.factories import earlier, make_user
from tests.mail.conftest import new_worker
from tests.smtp_server import Catcher


@pytest.fixture
async def user(session: AsyncSession) -> User:
    """A user who is sent nothing yet."""
    user = await make_user(session)
    await session.exec(update(Outbox).values(sent_at=func.now()))
    await session.commit()
    return user


async def request_reset(session: AsyncSession, user: User, times: int = 1) -> None:
    for _ in range(times):
        await enqueue(session, PASSWORD_RESET, email=user.email)
    await session.commit()


async def read_row(session: AsyncSession) -> Outbox:
    """Return the mail that was not sent."""
    unsent = select(Outbox).where(col(Outbox.sent_at).is_(None))
    return (await session.exec(unsent.execution_options(populate_existing=True))).one()


async def move_outbox_back(session: AsyncSession, **instants: str) -> None:
    back: dict[str, Any] = {
        name: earlier(getattr(Outbox, name), interval) for name, interval in instants.items()
    }
    await session.exec(update(Outbox).where(col(Outbox.sent_at).is_(None)).values(back))
    await session.commit()


async def test_deliver_due_sends_once(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await request_reset(session, user, times=3)
    assert await worker.deliver_due() == 3
    assert await worker.deliver_due() == 0
    assert len(smtp.messages) == 3
    assert smtp.connections == 1


async def test_deliver_due_logs_each_mail_without_its_address(
    session: AsyncSession,
    user: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    with capture_logs() as events:
        await request_reset(session, user)
        await worker.deliver_due()
        smtp.answers["RCPT"] = f"550 uml_{'x' * 43} is unknown"
        await request_reset(session, user)
        await worker.deliver_due()
    common = {"kind": PASSWORD_RESET, "user_id": str(user.id)}
    sent, failed = ({**event} for event in events)
    assert sent.pop("outbox_id") != failed.pop("outbox_id")
    assert sent == common | {"event": "mail_sent", "log_level": "info"}
    assert failed == common | {
        "event": "mail_failed",
        "log_level": "error",
        "error": "550 uml_... is unknown",
        "gives_up": True,
    }


async def test_server_that_is_away_is_tried_later(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    smtp.answers["EHLO"] = smtp.answers["HELO"] = "421 closing"
    await request_reset(session, user, times=2)
    assert await worker.deliver_due() == 0
    assert smtp.connections == 1  # the second mail was not even tried
    smtp.answers.clear()
    assert await worker.deliver_due() == 1
    row = await read_row(session)
    assert "421 closing" in str(row.last_error)
    assert row.attempts == 1
    await move_outbox_back(session, run_at="5 seconds")
    assert await worker.deliver_due() == 1
    assert len({message["Message-ID"] for message in smtp.messages}) == 2


async def test_refused_recipient_is_given_up_and_visible(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    smtp.answers["RCPT"] = "550 5.1.1 no such mailbox"
    await request_reset(session, user)
    assert await worker.deliver_due() == 1
    await move_outbox_back(session, run_at="365 days")
    assert await worker.deliver_due() == 0
    row = await read_row(session)
    assert row.last_error == "550 5.1.1 no such mailbox"


async def test_refused_mail_is_sent_if_an_operator_says_so(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    smtp.answers["RCPT"] = "550 5.1.1 no such mailbox"
    await request_reset(session, user)
    await worker.deliver_due()
    smtp.answers.clear()
    retry = update(Outbox).where(col(Outbox.sent_at).is_(None))
    await session.exec(retry.values(run_at=func.now()))
    await session.commit()
    assert await worker.deliver_due() == 1
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
async def test_deferred_mail_keeps_no_other_waiting(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher, verb: str
) -> None:
    smtp.answers[verb] = "451 try again later"
    await request_reset(session, user, times=2)
    assert await worker.deliver_due() == 2  # both were tried
    assert smtp.connections == 1
    smtp.answers.clear()
    await move_outbox_back(session, run_at="5 seconds")
    assert await worker.deliver_due() == 2
    assert len(smtp.messages) == 2


async def test_pauses_grow_and_end_after_days(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    smtp.answers["RCPT"] = "451 try again later"
    await request_reset(session, user)
    pauses = []
    for _ in range(12):
        assert await worker.deliver_due() == 1
        row = await read_row(session)
        pauses.append((row.run_at - row.created_at).total_seconds())  # both of one transaction
        await move_outbox_back(session, run_at="15 minutes")
    longest = [min(5 * 2**attempt, 900) for attempt in range(12)]
    for pause, most in zip(pauses, longest, strict=True):
        assert most / 2 <= pause <= most
    await move_outbox_back(session, created_at="3 days 1 second")
    assert await worker.deliver_due() == 1
    row = await read_row(session)
    assert row.run_at.year > 2100
    assert row.last_error == "451 try again later"


async def test_mail_that_cannot_be_written_stops_no_other(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await enqueue(session, "of_a_newer_release", user_id=str(user.id))
    user.email_verified_at = user.created_at
    await enqueue(session, "password_changed", user_id=str(user.id), email="a@b.c\r\nBcc: d@e.f")
    await request_reset(session, user)
    await worker.deliver_due()
    assert [message["To"] for message in smtp.messages] == [user.email]
    failed = await session.exec(select(Outbox.last_error).where(col(Outbox.sent_at).is_(None)))
    assert sorted(map(str, failed)) == ["TemplateNotFound", "ValueError"]


async def test_mail_of_a_killed_worker_is_sent_by_another_after_the_lease(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await request_reset(session, user)
    smtp.may_answer.clear()
    killed = asyncio.create_task(worker.deliver_due())
    while not smtp.messages:  # noqa: ASYNC110  # bounded by the worker's own limits
        await asyncio.sleep(0.01)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    smtp.may_answer.set()
    assert await worker.deliver_due() == 0
    await move_outbox_back(session, locked_until="1 minute")
    assert await worker.deliver_due() == 1
    first, again = smtp.messages
    assert first["Message-ID"] == again["Message-ID"]


async def test_workers_share_the_work(
    live_app: FastAPI, live_session: AsyncSession, smtp: Catcher, composer: Composer
) -> None:
    database: Database = live_app.state.database
    users = [await make_user(live_session) for _ in range(20)]
    workers = [new_worker(database, smtp, composer) for _ in range(4)]
    shares = await asyncio.gather(*(worker.deliver_due() for worker in workers))
    assert sum(shares) == 20
    assert min(shares) > 0
    assert Counter(message["To"] for message in smtp.messages) == {user.email: 1 for user in users}


async def test_no_connection_to_the_database_is_held_while_sending(
    live_app: FastAPI, live_session: AsyncSession, smtp: Catcher, composer: Composer
) -> None:
    await make_user(live_session)
    smtp.may_answer.clear()
    worker = new_worker(live_app.state.database, smtp, composer)
    sending = asyncio.create_task(worker.deliver_due())
    while not smtp.messages:  # noqa: ASYNC110  # bounded by the worker's own limits
        await asyncio.sleep(0.01)
    assert live_app.state.database.connections_in_use == 0
    smtp.may_answer.set()
    assert await sending == 1


async def test_running_finishes_the_mail_in_flight(
    live_app: FastAPI, live_session: AsyncSession, smtp: Catcher, composer: Composer
) -> None:
    await make_user(live_session)
    await make_user(live_session)
    smtp.may_answer.clear()
    async with running(worker := new_worker(live_app.state.database, smtp, composer)):
        while not smtp.messages:  # noqa: ASYNC110  # bounded by the test's end
            await asyncio.sleep(0.01)
        worker.stop()
        smtp.may_answer.set()
    sent = select(func.count()).select_from(Outbox).where(col(Outbox.sent_at).is_not(None))
    assert (await live_session.exec(sent)).one() == len(smtp.messages) == 1
