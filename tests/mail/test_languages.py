"""Mails in the language of who gets them, or else of the request that has caused them."""

import re
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.letters import Letter
from app.mail.messages import Composer
from app.mail.models import Outbox
from app.mail.worker import MailWorker
from app.users.models import User
from app.web.languages import NAMES
from tests.mail.conftest import PUBLIC_URL, SENDER
from tests.mail.test_messages import KINDS, compose
from tests.smtp_server import Catcher, read_text
from tests.speech import Marking, find_unmarked, find_words

API = "/api/v1"
NO_TEXTS = {"ada", "app", "example", "com", "uml", "tests"}


async def read_subjects(worker: MailWorker, smtp: Catcher) -> list[str]:
    await worker.deliver_due()
    subjects = [message["Subject"] for message in smtp.messages]
    smtp.messages.clear()
    return subjects


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_a_mail_stays_untranslated(kind: str) -> None:
    marked = Composer(
        public_url=PUBLIC_URL, sender=SENDER, catalogs=dict.fromkeys(NAMES, Marking())
    )
    message = compose(marked, kind)
    for text in (str(message["Subject"]), read_text(message)):
        assert {*find_words(re.sub(r"https://\S+", "", text))} - NO_TEXTS == set()
    html = re.sub(r"https://[\w./#=-]+", "", read_text(message, "html"))
    assert find_unmarked(html) - NO_TEXTS == set()


@pytest.mark.parametrize("language", ["fr", "KO", "", "ko-KR", 1, ["ko"], {"ko": 1}, "x" * 100])
async def test_unknown_language_is_refused(user_client: AsyncClient, language: Any) -> None:
    answer = await user_client.patch(f"{API}/users/me", json={"language": language})
    assert answer.status_code == 422
    assert (await user_client.get(f"{API}/users/me")).json()["language"] is None


async def test_mail_of_an_older_release_names_no_language(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    (waits,) = await session.exec(select(Outbox))
    assert waits.payload == {"user_id": str(user.id)}
    assert await read_subjects(worker, smtp) == ["Confirm your e-mail address"]


def test_letter_in_an_unknown_language_is_in_english(composer: Composer) -> None:
    assert compose(composer, "invitation", language="../ko")["Subject"].startswith("You have")
    assert Letter("invitation", "ada@example.com", {}).language is None
