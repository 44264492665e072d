"""Mails in Korean: for who has chosen it, or whose request asks for it."""

import pytest
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.messages import Composer
from app.mail.worker import MailWorker
from app.users.models import User
from tests.factories import make_account, make_invitation
from tests.mail.test_languages import API, read_subjects
from tests.mail.test_messages import KINDS, compose
from tests.smtp_server import Catcher, read_text

KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}


@pytest.mark.parametrize("kind", KINDS)
def test_mail_is_composed_in_korean(composer: Composer, kind: str) -> None:
    message = compose(composer, kind, language="ko")
    html = read_text(message, "html")
    assert '<html lang="ko">' in html
    assert "이 메일은 app.example.com에서 ada@example.com 주소로 보냈습니다." in html
    assert not str(message["Subject"]).isascii()
    for part in (read_text(message), html):
        assert "%(" not in part
        assert " the " not in part.lower()


def test_mail_in_korean_says_when_and_for_how_long(composer: Composer) -> None:
    assert "시각: 2026-11-21 07:30(UTC)\n" in read_text(
        compose(composer, "new_login", language="ko")
    )
    assert "7일 동안" in read_text(compose(composer, "invitation", language="ko"))
    assert "24시간 동안" in read_text(compose(composer, "email_verification", language="ko"))
    assert "30분 동안" in read_text(compose(composer, "password_reset", language="ko"))


async def test_mail_of_a_newcomer_is_in_the_language_of_the_sign_up(
    client: AsyncClient, worker: MailWorker, smtp: Catcher
) -> None:
    for number, (headers, subject) in enumerate(
        (
            (KOREAN, "이메일 주소를 확인해 주십시오"),
            ({"Accept-Language": "de, *"}, "Confirm your e-mail address"),
            ({"Accept-Language": "ko;q=2, ../ko"}, "Confirm your e-mail address"),
            ({}, "Confirm your e-mail address"),
            ({"Cookie": "language=ko"}, "이메일 주소를 확인해 주십시오"),
            (
                {"Cookie": "__Host-language=ko"} | {"Accept-Language": "en"},
                "이메일 주소를 확인해 주십시오",
            ),
        )
    ):
        account = make_account(f"ada{number}@example.com")
        answer = await client.post(f"{API}/auth/signup", json=account, headers=headers)
        assert answer.status_code == 201
        assert answer.json()["language"] is None
        assert await read_subjects(worker, smtp) == [subject]


async def test_choice_of_the_recipient_counts_more_than_the_request(
    user_client: AsyncClient,
    session: AsyncSession,
    user: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    await read_subjects(worker, smtp)
    for language, headers, subject in (
        ("ko", {"Accept-Language": "en"}, "비밀번호 새로 설정"),
        ("en", KOREAN, "Set a new password"),
        (None, KOREAN, "비밀번호 새로 설정"),
    ):
        answer = await user_client.patch(f"{API}/users/me", json={"language": language})
        assert (answer.status_code, answer.json()["language"]) == (200, language)
        path = f"{API}/auth/password-reset"
        answer = await user_client.post(path, json={"email": user.email}, headers=headers)
        assert answer.status_code == 202
        assert await read_subjects(worker, smtp) == [subject]
    user.language = "xx"  # as another release knows it
    await session.commit()
    await user_client.post(f"{API}/auth/email-verification", headers=KOREAN)
    assert await read_subjects(worker, smtp) == ["이메일 주소를 확인해 주십시오"]


async def test_taken_address_is_told_in_the_language_of_its_owner(
    user_client: AsyncClient,
    session: AsyncSession,
    superuser: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    await read_subjects(worker, smtp)
    superuser.language = "ko"
    await session.commit()
    await user_client.post(f"{API}/users/me/email", json={"new_email": superuser.email})
    assert await read_subjects(worker, smtp) == ["이 주소의 계정이 이미 있습니다"]


async def test_invitation_is_in_the_language_that_the_administrator_gives_or_speaks(
    superuser_client: AsyncClient,
    session: AsyncSession,
    superuser: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    await read_subjects(worker, smtp)
    superuser.language = "ko"
    await session.commit()
    korean, english = (
        "app.example.com 계정이 만들어졌습니다",
        "You have an account at app.example.com",
    )
    for number, (given, subject) in enumerate((({}, korean), ({"language": "en"}, english))):
        body = make_invitation(f"new{number}@example.com") | given
        answer = await superuser_client.post(f"{API}/users", json=body)
        assert answer.status_code == 201, answer.text
        assert await read_subjects(worker, smtp) == [subject]


async def test_api_speaks_english(user_client: AsyncClient) -> None:
    await user_client.patch(f"{API}/users/me", json={"language": "ko"})
    answer = await user_client.get(f"{API}/users", headers=KOREAN)
    assert "A permission is needed" in answer.json()["detail"]
    assert "content-language" not in answer.headers
    export = (await user_client.get(f"{API}/users/me/export")).json()
    assert export["user"][0]["language"] == "ko"
