"""One person, one address: however it is written, in every way in, and where its mail goes."""

import re
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import EMAIL_CHANGE, enqueue
from app.mail.worker import MailWorker
from app.users.models import User
from tests.factories import PASSWORD, make_account, make_invitation, new_user
from tests.problems import read_problem
from tests.smtp_server import Catcher, read_text

API = "/api/v1"
STORED = "ada@xn--mnchen-3ya.example"
FORMS = [
    "Ada@München.example",
    STORED.upper(),
    "ada@mu\u0308nchen.example",
    " ada@münchen.example\n",
]


async def post(client: AsyncClient, path: str, **body: Any) -> Response:
    return await client.post(f"{API}{path}", json=body)


async def log_in(client: AsyncClient, email: str) -> int:
    form = {"username": email, "password": PASSWORD}
    answer = await client.post(f"{API}/auth/login", data=form)
    if answer.status_code == 200:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.status_code


async def follow(client: AsyncClient, worker: MailWorker, smtp: Catcher, **body: str) -> None:
    """Follow the link of the mail, which goes to the address as it is stored."""
    await worker.deliver_due()
    sets_password = "new_password" in body
    page = "set-password" if sets_password else "confirm-email"
    texts = [read_text(each) for each in smtp.messages if each["To"] == STORED]
    smtp.messages.clear()
    (token,) = re.findall(rf"{page}#token=(uml_[\w-]+)", "".join(texts))
    kind = "password-reset" if sets_password else "email-verification"
    answer = await post(client, f"/auth/{kind}/confirm", token=token, **body)
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize("written", FORMS)
async def test_account_of_an_international_domain_is_its_owners(
    client: AsyncClient, worker: MailWorker, smtp: Catcher, written: str
) -> None:
    created = await post(client, "/auth/signup", **make_account(written))
    assert (created.status_code, created.json()["email"]) == (201, STORED)
    assert await log_in(client, written) == 200
    await follow(client, worker, smtp)
    for form in FORMS:
        again = await post(client, "/auth/signup", **make_account(form))
        assert again.status_code in {409, 429}
        assert await log_in(client, form) == 200
    assert (await client.get(f"{API}/users/me")).json()["email"] == STORED
    await post(client, "/auth/password-reset", email=written)
    await follow(client, worker, smtp, new_password=PASSWORD)
    assert await log_in(client, written) == 200


@pytest.mark.parametrize("written", FORMS)
async def test_change_to_an_international_domain_locks_nobody_out(
    user_client: AsyncClient, worker: MailWorker, smtp: Catcher, written: str
) -> None:
    answer = await post(user_client, "/users/me/email", new_email=written)
    assert answer.status_code == 202
    await follow(user_client, worker, smtp)
    for form in FORMS:
        assert await log_in(user_client, form) == 200


async def test_address_that_an_older_release_has_noted_gets_its_mail(
    user_client: AsyncClient, session: AsyncSession, user: User, worker: MailWorker, smtp: Catcher
) -> None:
    await enqueue(session, EMAIL_CHANGE, user_id=str(user.id), email="ada@münchen.example")
    await session.commit()
    await follow(user_client, worker, smtp)
    assert await log_in(user_client, STORED) == 200


@pytest.mark.parametrize("written", FORMS)
async def test_invitation_to_an_international_domain_is_taken_up(
    superuser_client: AsyncClient, worker: MailWorker, smtp: Catcher, written: str
) -> None:
    created = await post(superuser_client, "/users", **make_invitation(written))
    assert created.json()["email"] == STORED
    await follow(superuser_client, worker, smtp, new_password=PASSWORD)
    for form in FORMS:
        again = await post(superuser_client, "/users", **make_invitation(form))
        read_problem(again, 409, "email_taken")
    assert await log_in(superuser_client, written) == 200


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u00a0"])
async def test_blanks_around_an_address_are_taken_off_everywhere(
    client: AsyncClient, worker: MailWorker, smtp: Catcher, blank: str
) -> None:
    written = f"{blank}{STORED}{blank}"
    created = await post(client, "/auth/signup", **make_account(written))
    assert created.status_code == 201, created.text
    assert created.json()["email"] == STORED
    assert await log_in(client, written) == 200
    await post(client, "/users/me/email", new_email=written)
    assert (await post(client, "/auth/password-reset", email=written)).status_code == 202
    await follow(client, worker, smtp, new_password=PASSWORD)
    page = await client.post("/forgot-password", data={"email": written})
    assert page.status_code == 200
    await follow(client, worker, smtp, new_password=PASSWORD)


@pytest.mark.parametrize(("length", "status"), [(64, 201), (65, 422)])
async def test_local_part_has_64_characters_at_most(
    client: AsyncClient, length: int, status: int
) -> None:
    email = f"{'a' * length}@example.com"
    answer = await post(client, "/auth/signup", **make_account(email))
    assert answer.status_code == status


@pytest.mark.parametrize(
    "email",
    [
        *("Ada@example.com", "ada@EXAMPLE.com", "ada@münchen.example", "äda@example.com"),
        *("ada @example.com", " ada@example.com", "ada@example.com\n", "ada@example.com\u200b"),
    ],
)
@pytest.mark.parametrize("imported", [True, False])
async def test_database_refuses_what_is_no_canonical_address(
    session: AsyncSession, user: User, email: str, *, imported: bool
) -> None:
    if imported:
        session.add(new_user(email))
    else:
        user.email = email
    with pytest.raises(IntegrityError, match="ck_user_email_is_"):
        await session.flush()
