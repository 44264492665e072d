"""The pages of mails in Korean."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.service import EMAIL_VERIFICATION, PASSWORD_RESET
from app.users.models import User
from tests.factories import PASSWORD, make_mail_token
from tests.web.pages.test_languages import open_all

KOREAN = {"Accept-Language": "ko"}


async def test_pages_are_in_korean(app: FastAPI, client: AsyncClient) -> None:
    pages = {page: html async for page, html in open_all(app, client, KOREAN)}
    assert len(pages) >= 3 * 5
    for page, html in pages.items():
        assert '<html lang="ko">' in html, page
        assert " the " not in html.partition("<body>")[2].partition("<script>")[0], page


async def test_new_password_is_judged_in_korean(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    token = await make_mail_token(session, user, PASSWORD_RESET)
    form = {"token": token, "new_password": "12345678901234567890"}
    answer = await client.post("/set-password", data=form, headers=KOREAN)
    assert answer.status_code == 422
    assert "너무 쉽게 추측할 수 있습니다. " in answer.text
    assert not any(word in answer.text for word in ("easy", "guess", "Add"))
    form["new_password"] = f"new {PASSWORD}"
    answer = await client.post("/set-password", data=form, headers=KOREAN)
    assert "<h1>비밀번호를 설정했습니다</h1>" in answer.text


async def test_address_is_confirmed_in_korean(
    client: AsyncClient, session: AsyncSession, user: User
) -> None:
    form = {"token": await make_mail_token(session, user, EMAIL_VERIFICATION)}
    answer = await client.post("/confirm-email", data=form, headers=KOREAN)
    assert "<h1>주소가 확인되었습니다</h1>" in answer.text


async def test_page_is_in_the_language_of_who_is_signed_in(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    user.language = "ko"
    await session.commit()
    answer = await user_client.get("/confirm-email", headers={"Accept-Language": "en"})
    assert answer.headers["content-language"] == "ko"
    assert f"지금 <strong>{user.email}</strong> 계정으로" in answer.text
