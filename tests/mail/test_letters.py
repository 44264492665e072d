import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import EmailToken, Outbox
from app.mail.service import enqueue
from app.mail.worker import MailWorker
from app.users.models import User
from tests.conftest import new_client
from tests.factories import PASSWORD, make_invitation, make_user, reload_user
from tests.mail.conftest import PUBLIC_URL
from tests.smtp_server import Catcher, read_text

API = "/api/v1"
NEW_PASSWORD = f"new {PASSWORD}"


@pytest.fixture
async def user(session: AsyncSession, smtp: Catcher, worker: MailWorker) -> User:
    """A user whose mail has been sent so far."""
    user = await make_user(session)
    await worker.deliver_due()
    smtp.messages.clear()
    return user


async def post(client: AsyncClient, path: str, **body: Any) -> None:
    answer = await client.post(f"{API}{path}", json=body)
    assert answer.status_code in (201, 202, 204), answer.text


def read_links(smtp: Catcher, page: str) -> list[str]:
    """Return the token of each mail's link to the page, which is also the code to paste."""
    tokens = []
    for message in smtp.messages:
        text, html = read_text(message), read_text(message, "html")
        link = re.search(rf"{PUBLIC_URL}/{page}#token=(uml_[\w-]{{43}})\n", text)
        assert link, text
        assert f'href="{link[0].strip()}"' in html
        for part in (text, html):
            assert re.search(rf"{PUBLIC_URL}/{page}\b(?!#)", part)
            assert re.findall(rf"(?<!=){link[1]}", part) == [link[1]]
        tokens.append(link[1])
    smtp.messages.clear()
    return tokens


async def test_password_is_reset_with_the_mail(
    client: AsyncClient, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await post(client, "/auth/password-reset", email=user.email)
    await worker.deliver_due()
    assert [message["To"] for message in smtp.messages] == [user.email]
    (token,) = read_links(smtp, "set-password")
    await post(client, "/auth/password-reset/confirm", token=token, new_password=NEW_PASSWORD)
    await worker.deliver_due()
    assert [message["Subject"] for message in smtp.messages] == ["Your password was changed"]


async def test_reset_mails_nothing_without_an_account(
    client: AsyncClient, worker: MailWorker, smtp: Catcher
) -> None:
    await post(client, "/auth/password-reset", email="nobody@example.com")
    assert await worker.deliver_due() == 1  # done with
    assert await worker.deliver_due() == 0
    assert smtp.messages == []


async def test_reset_mails_nothing_to_the_deactivated(
    client: AsyncClient, session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    user.is_active = False
    await post(client, "/auth/password-reset", email=user.email)
    await session.commit()
    await worker.deliver_due()
    assert smtp.messages == []


async def test_sign_up_is_verified_with_the_mail(
    client: AsyncClient, session: AsyncSession, worker: MailWorker, smtp: Catcher
) -> None:
    user = await make_user(session)
    await worker.deliver_due()
    (token,) = read_links(smtp, "confirm-email")
    await post(client, "/auth/email-verification/confirm", token=token)
    assert (await reload_user(session, user)).email_verified_at is not None


async def test_verification_mails_nothing_to_the_verified(
    user_client: AsyncClient, session: AsyncSession, user: User, worker: MailWorker
) -> None:
    await post(user_client, "/auth/email-verification")
    user.email_verified_at = user.created_at
    await session.exec(delete(EmailToken))
    await session.commit()
    assert await worker.deliver_due() == 1
    assert [*await session.exec(select(EmailToken))] == []


async def test_invitation_leads_to_an_account_and_is_sent_again(
    superuser_client: AsyncClient, worker: MailWorker, smtp: Catcher
) -> None:
    await worker.deliver_due()
    smtp.messages.clear()
    created = await superuser_client.post(f"{API}/users", json=make_invitation("new@example.com"))
    await post(superuser_client, f"/users/{created.json()['id']}/password-reset")
    await worker.deliver_due()
    assert {message["To"] for message in smtp.messages} == {"new@example.com"}
    dead, token = read_links(smtp, "set-password")
    body = {"token": dead, "new_password": NEW_PASSWORD}
    confirm = f"{API}/auth/password-reset/confirm"
    assert (await superuser_client.post(confirm, json=body)).status_code == 400
    assert (await superuser_client.post(confirm, json=body | {"token": token})).status_code == 204


async def test_invitation_is_not_sent_to_who_has_a_password(
    session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await enqueue(session, "invitation", user_id=str(user.id))
    await session.commit()
    await worker.deliver_due()
    assert smtp.messages == []


async def test_address_is_changed_with_the_mail_to_the_new_one(
    user_client: AsyncClient,
    session: AsyncSession,
    user: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    old = user.email
    await post(user_client, "/users/me/email", new_email="new@example.com")
    await worker.deliver_due()
    assert [message["To"] for message in smtp.messages] == ["new@example.com"]
    (token,) = read_links(smtp, "confirm-email")
    await post(user_client, "/auth/email-verification/confirm", token=token)
    assert (await reload_user(session, user)).email == "new@example.com"
    await worker.deliver_due()
    (notice,) = smtp.messages
    assert (notice["To"], notice["Subject"]) == (
        old,
        "The e-mail address of your account was changed",
    )
    assert "new@example.com" not in notice.as_string()


async def test_asvs_6_3_5_login_from_a_new_device_is_told(
    app: FastAPI, session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    user.email_verified_at = user.created_at
    await session.commit()
    form = {"username": user.email, "password": PASSWORD}
    for address, device in (("192.0.2.1", "Known/1"), ("198.51.100.7", "<New>/2")):
        async with new_client(app, address) as client:
            client.headers["User-Agent"] = device
            assert (await client.post(f"{API}/auth/login", data=form)).status_code == 200
    await worker.deliver_due()
    (notice,) = smtp.messages
    assert (notice["To"], notice["Subject"]) == (user.email, "A new login to your account")
    assert "Address: 198.51.100.7\nDevice: <New>/2\n" in read_text(notice)
    assert "Device: &lt;New&gt;/2" in read_text(notice, "html")


async def test_address_that_nobody_has_confirmed_is_told_nothing(
    user_client: AsyncClient, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    form = {"username": user.email, "password": PASSWORD}
    for device in ("Known", "New", "Newer"):
        headers = {"User-Agent": device}
        answer = await user_client.post(f"{API}/auth/login", data=form, headers=headers)
        assert answer.status_code == 200
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = await user_client.put(f"{API}/users/me/password", json=body)
    assert answer.status_code == 204
    assert await worker.deliver_due() == 3
    assert smtp.messages == []


async def test_taken_address_is_told_to_its_reader_only(
    user_client: AsyncClient,
    session: AsyncSession,
    user: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    taken = await make_user(session, email_verified_at=user.created_at)
    await post(user_client, "/users/me/email", new_email=taken.email)
    await worker.deliver_due()
    (message,) = smtp.messages
    assert message["To"] == taken.email
    assert message["Subject"] == "This address already has an account"
    assert "uml_" not in message.as_string()
    assert user.email not in message.as_string()


async def test_own_address_as_the_new_one_mails_nothing(
    user_client: AsyncClient, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await post(user_client, "/users/me/email", new_email=user.email)
    await worker.deliver_due()
    assert smtp.messages == []


async def test_second_wanted_address_replaces_the_first(
    user_client: AsyncClient, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    assert user.is_active
    for email in ("sent@example.com", "waiting@example.com", "last@example.com"):
        await post(user_client, "/users/me/email", new_email=email)
        if email.startswith("sent"):
            await worker.deliver_due()
    (dead,) = read_links(smtp, "confirm-email")
    await worker.deliver_due()
    assert [message["To"] for message in smtp.messages] == ["last@example.com"]
    confirm = f"{API}/auth/email-verification/confirm"
    assert (await user_client.post(confirm, json={"token": dead})).status_code == 400


async def test_nothing_is_mailed_to_a_deleted_user(
    user_client: AsyncClient,
    session: AsyncSession,
    user: User,
    worker: MailWorker,
    smtp: Catcher,
) -> None:
    payload = {"user_id": str(user.id), "email": user.email}
    kinds = ("invitation", "email_verification", "email_change", "password_changed")
    for kind in kinds:
        await enqueue(session, kind, **payload)
    await session.commit()
    assert (await user_client.delete(f"{API}/users/me")).status_code == 204
    assert await worker.deliver_due() == len(kinds)
    assert smtp.messages == []


async def test_asvs_6_4_1_no_mail_and_no_outbox_row_holds_a_password_or_token(
    client: AsyncClient, session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await post(client, "/auth/password-reset", email=user.email)
    await worker.deliver_due()
    text = smtp.messages[0].as_string()
    (token,) = read_links(smtp, "set-password")
    await post(client, "/auth/password-reset/confirm", token=token, new_password=NEW_PASSWORD)
    await worker.deliver_due()
    text += smtp.messages[0].as_string()
    rows = repr([*(await session.exec(select(Outbox)))])
    for secret in (PASSWORD, NEW_PASSWORD, (await reload_user(session, user)).hashed_password):
        assert secret not in text + rows
    assert "uml_" not in rows
