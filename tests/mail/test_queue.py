"""Whose mail waits for whose: nobody's for one that fails, and nobody's for a flood to another."""

import asyncio
from collections import Counter

import pytest
from fastapi import FastAPI
from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.messages import Composer
from app.mail.models import Outbox
from app.mail.service import PASSWORD_RESET, enqueue
from app.mail.worker import MailWorker, running
from app.users.models import User
from tests.factories import make_user
from tests.mail.conftest import new_worker
from tests.mail.test_worker import move_outbox_back, request_reset
from tests.smtp_server import Catcher


@pytest.fixture
async def users(session: AsyncSession) -> list[User]:
    """Users who are sent nothing yet."""
    users = [await make_user(session) for _ in range(3)]
    await session.exec(update(Outbox).values(sent_at=func.now()))
    await session.commit()
    return users


async def read_failure(session: AsyncSession) -> tuple[str | None, int, bool]:
    """Return why the one mail was not sent, how often it was tried, and whether it will be."""
    is_tried_again = col(Outbox.run_at) < func.now() + func.make_interval(0, 0, 0, 1)
    found = select(Outbox.last_error, Outbox.attempts, is_tried_again)
    return (await session.exec(found.where(col(Outbox.sent_at).is_(None)))).one()


@pytest.mark.parametrize(
    ("verb", "answer", "error"),
    [
        ("MAIL", "552 5.3.4 too large", "552 5.3.4 too large"),
        ("MAIL", "421 4.7.0 not you", "421 4.7.0 not you"),
        ("MAIL", None, "SMTPServerDisconnected"),
        ("RCPT", "421 4.7.0 not this one", "421 4.7.0 not this one"),
        ("RCPT", "450 \udcff", "450 ?"),
        ("RCPT", "nonsense", "SMTPResponseException"),
        ("RCPT", None, "SMTPServerDisconnected"),
        ("RCPT", "", "TimeoutError"),
        ("DATA", "421 4.3.0 the filter is down", "421 4.3.0 the filter is down"),
        ("DATA", None, "SMTPServerDisconnected"),
    ],
)
async def test_mail_that_fails_keeps_no_other_waiting(  # noqa: PLR0913  # fixtures
    session: AsyncSession,
    users: list[User],
    worker: MailWorker,
    smtp: Catcher,
    monkeypatch: pytest.MonkeyPatch,
    *,
    verb: str,
    answer: str | None,
    error: str,
) -> None:
    monkeypatch.setattr("app.mail.smtp.SEND_TIMEOUT", 0.5)
    for user in users:
        await request_reset(session, user)
        await move_outbox_back(session, run_at="1 second")
    smtp.first_answers[verb] = answer
    assert await worker.deliver_due() == 3
    assert [message["To"] for message in smtp.messages] == [user.email for user in users[1:]]
    last_error, attempts, is_tried_again = await read_failure(session)
    assert str(last_error).startswith(error) or error == "SMTPResponseException"
    assert (attempts, is_tried_again) == (1, True)
    await move_outbox_back(session, run_at="5 seconds")
    assert await worker.deliver_due() == 1
    assert len(smtp.messages) == 3


async def test_mail_that_the_server_cannot_carry_is_given_up(
    session: AsyncSession, users: list[User], worker: MailWorker, smtp: Catcher
) -> None:
    users[0].email_verified_at = users[0].created_at
    unicode = {"user_id": str(users[0].id), "email": "ada@münchen.example"}
    await enqueue(session, "email_changed", **unicode)
    await move_outbox_back(session, run_at="1 second")
    await request_reset(session, users[1])
    assert await worker.deliver_due() == 2
    assert smtp.connections == 1
    assert [message["To"] for message in smtp.messages] == [users[1].email]
    last_error, _, is_tried_again = await read_failure(session)
    assert "SMTPUTF8" in str(last_error)
    assert not is_tried_again


async def test_new_mail_is_sent_while_one_that_has_failed_hangs(
    live_app: FastAPI, live_session: AsyncSession, smtp: Catcher, composer: Composer
) -> None:
    failed = await make_user(live_session)
    await live_session.exec(update(Outbox).values(attempts=1))
    await live_session.commit()
    smtp.held = {failed.email}
    smtp.may_answer.clear()
    async with running(new_worker(live_app.state.database, smtp, composer)):
        while not any(failed.email in each for each in smtp.commands):  # noqa: ASYNC110  # bounded
            await asyncio.sleep(0.01)
        new = await make_user(live_session)
        while not smtp.messages:  # noqa: ASYNC110  # by the worker's own limits, as above
            await asyncio.sleep(0.01)
        assert [message["To"] for message in smtp.messages] == [new.email]
        smtp.may_answer.set()


async def test_recipients_take_turns(
    session: AsyncSession, users: list[User], worker: MailWorker, smtp: Catcher
) -> None:
    flooded, *others = users
    await request_reset(session, flooded, times=20)
    await move_outbox_back(session, run_at="1 hour")
    for user in others:
        await request_reset(session, user, times=2)
    assert await worker.deliver_due() == 24
    first = Counter(message["To"] for message in smtp.messages[:6])
    assert first == {user.email: 2 for user in users}


async def test_who_has_no_address_takes_turns_too(
    session: AsyncSession, users: list[User], worker: MailWorker, smtp: Catcher
) -> None:
    for _ in range(3):
        await enqueue(session, PASSWORD_RESET, email=None)
    await request_reset(session, users[0], times=3)
    assert await worker.deliver_due() == 6
    assert len(smtp.messages) == 3
