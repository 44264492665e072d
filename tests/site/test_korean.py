"""The pages in Korean: for who has chosen it, or whose browser asks for it."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.auth.test_authorization import Cast, cast
from tests.conftest import new_client
from tests.factories import make_account, make_invitation, make_superuser, reload_user
from tests.site.test_flows import Browser, browser, find_heading
from tests.site.test_languages import OWN, check_language, open_all
from tests.site.test_routes import objects
from tests.speech import read_texts

__all__ = ["browser", "cast", "objects"]  # fixtures
KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}
SENTENCE = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+")


async def test_korean_pages_have_no_english_sentence(
    cast: Cast, session: AsyncSession, objects: dict[str, Any]
) -> None:
    async for page, html in open_all(cast, session, objects, KOREAN):
        shown, said = read_texts(html)
        assert [SENTENCE.search(text) for text in (shown, *said)] == [None] * (1 + len(said)), page
        assert '<html lang="ko">' in html, page


async def test_page_is_in_the_language_that_the_browser_asks_for(
    client: AsyncClient, user: User
) -> None:
    answer = await client.get("/sign-in", headers=KOREAN)
    check_language(answer, "ko")
    assert find_heading(answer.text) == "로그인"
    check_language(await client.get("/sign-in"), "en")
    form = {"username": user.email, "password": "wrong"}
    answer = await client.post("/sign-in", data=form, headers=KOREAN | OWN)
    check_language(answer, "ko")
    assert "이메일 주소 또는 비밀번호가 올바르지 않습니다." in answer.text
    form = make_account("ada", password="passwordpassword")
    answer = await client.post("/sign-up", data=form, headers=KOREAN | OWN)
    assert "올바른 이메일 주소가 아닙니다." in answer.text
    form["email"] = "ada@example.com"
    answer = await client.post("/sign-up", data=form, headers=KOREAN | OWN)
    assert "너무 쉽게 추측할 수 있습니다. " in answer.text
    assert "easy" not in answer.text
    answer = await client.get("/admin/users/x/y", headers=KOREAN)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko", "ko"),
        ("KO-kr", "ko"),
        ("ko-Hang-KR-x-private", "ko"),
        ("de, ko;q=0.5", "ko"),
        ("ko;q=0.5, en;q=0.9", "en"),
        ("ko; q=0.5, en ;q=0.4", "ko"),
        ("ko, en", "ko"),
        ("ko;q=0, en;q=0.1", "en"),
        ("ko;q=0", "en"),
        ("*, ko;q=0.5", "en"),
        ("*;q=0.1, ko;q=0.5", "ko"),
        ("de, fr;q=0.5", "en"),
        ("kok, kor", "en"),
        ("", "en"),
    ],
)
async def test_asked_languages_are_weighed(
    client: AsyncClient, accepted: str, language: str
) -> None:
    check_language(await client.get("/", headers={"Accept-Language": accepted}), language)


async def test_header_may_come_in_parts(client: AsyncClient) -> None:
    parts = [("Accept-Language", "de"), ("Accept-Language", "ko;q=0.5")]
    check_language(await client.get("/", headers=parts), "ko")


async def test_visitor_chooses_a_language(browser: Browser) -> None:
    html = await browser.send("/sign-in", username="nobody@example.com", password="no")
    assert re.search(r'value="en" lang="en" aria-current="true">English<', html)
    headers = {"Referer": "http://test/sign-in?next=/account/email"}
    answer = await browser.client.post("/language", data={"language": "ko"}, headers=headers)
    assert answer.headers["location"] == "/sign-in?next=/account/email"
    assert re.search(
        r"language=ko; HttpOnly; Max-Age=\d+; Path=/; SameSite=lax$", answer.headers["set-cookie"]
    )
    check_language(await browser.client.get("/sign-in"), "ko")
    check_language(await browser.client.get("/forgot-password"), "ko")
    for elsewhere in ("//evil.example.com/", "http://test/admin?x=<script>", "http://test//x", ""):
        headers = {"Referer": elsewhere}
        answer = await browser.client.post("/language", data={"language": "en"}, headers=headers)
        assert answer.headers["location"] == "/"
    for unknown in ("fr", "", "KO", "../ko"):
        answer = await browser.client.post("/language", data={"language": unknown})
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers
    browser.client.cookies.clear()
    browser.client.cookies.set("language", "fr")
    check_language(await browser.client.get("/", headers=KOREAN), "ko")


async def test_choice_of_the_account_counts_more_than_that_of_the_browser(
    app: FastAPI, browser: Browser, session: AsyncSession, user: User
) -> None:
    await browser.sign_in(user)
    html = await browser.open("/account/language")
    assert '<option value="">As the browser asks</option>' in html
    html = await browser.send("/account/language", language="ko")
    assert (browser.path, find_heading(html)) == ("/account", "내 계정")
    assert "언어를 저장했습니다." in html
    assert (await reload_user(session, user)).language == "ko"
    html = await browser.open("/account/language")
    assert '<option value="ko" lang="ko" selected>한국어</option>' in html
    html = await browser.send("/account/email", new_email="x")
    assert "올바른 이메일 주소가 아닙니다." in html
    assert "언어 변경" in await browser.open("/account/events")
    check_language(await browser.client.get("/admin/users"), "ko")  # 403
    async with new_client(app) as client:  # another browser of the same person
        client.headers["Accept-Language"] = "en"
        other = Browser(client)
        assert find_heading(await other.sign_in(user)) == "내 계정"
    for unknown in ("fr", "ko-KR", "x" * 100):
        await browser.send("/account/language", language=unknown)
        assert browser.status == 422
    user.language = "xx"  # as an older release knew it
    await session.commit()
    check_language(await browser.client.get("/account"), "en")
    check_language(await browser.client.get("/account", headers=KOREAN), "ko")
    html = await browser.send("/account/language", language="")
    assert "Your language is saved." in html
    assert (await reload_user(session, user)).language is None


async def test_administrator_sees_the_pages_in_the_own_language(
    browser: Browser, session: AsyncSession, user: User
) -> None:
    admin = await make_superuser(session, language="ko")
    user.language = "en"
    await session.commit()
    await browser.sign_in(admin)
    html = await browser.open("/admin/users")
    assert find_heading(html) == "사용자"
    html = await browser.send(
        "/admin/users/new", **make_invitation("kim@example.com", language="ko")
    )
    assert "비밀번호를 정할 수 있는 링크를 메일로 보냈습니다." in html
    kim = (await session.exec(select(User).where(User.email == "kim@example.com"))).one()
    assert kim.language == "ko"
    html = await browser.send("/admin/users/new", **make_invitation("no", language="en"))
    assert '<option value="en" lang="en" selected>English</option>' in html
    html = await browser.open(f"/admin/users/{user.id}/deactivate")
    assert find_heading(html) == "이 계정을 비활성화하시겠습니까?"
    html = await browser.open(f"/admin/users/{admin.id.int:032x}{admin.id}")
    assert (browser.status, find_heading(html)) == (422, "요청을 이해할 수 없습니다")
