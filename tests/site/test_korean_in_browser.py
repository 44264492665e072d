"""The pages in Korean, in a real Chromium."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.parts import NAME
from tests.browsers import MISSING, find_browser
from tests.site.browsing import NARROW, WIDE, Site, look, open_page, press, sign_up, site
from tools import demo

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

__all__ = ["open_page", "site"]  # fixtures
PAGES = {
    "/account": "내 계정",
    "/account/language": "언어",
    "/account/password": "비밀번호",
    "/account/second-factors": "2단계 인증",
    "/account/passkeys": "패스키",
    "/account/devices": "기기",
    "/account/events": "기록",
    "/account/delete": "계정 삭제",
    "/admin/users": "사용자",
    "/admin/users/new": "사용자 초대",
    "/admin/events": "이벤트",
    "/admin/mail": "메일",
    "/admin/service": "서비스",
    f"/admin/users/{'0' * 32}": "찾을 수 없습니다",
}


def test_everything_fits_in_korean(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/", locale="ko-KR", viewport=WIDE)
    look(page, NAME, "ko-home")
    page.goto("/sign-up")
    look(page, "계정 만들기", "ko-sign-up")
    page.goto("/forgot-password")
    look(page, "비밀번호를 잊으셨습니까?", "ko-forgot-password")
    page.goto("/admin/users")
    look(page, "로그인", "ko-sign-in")
    page.get_by_label("이메일 주소").fill(demo.ADMINISTRATOR)
    page.get_by_label("비밀번호", exact=True).fill(site.password)
    press(page, "로그인")
    for path, heading in PAGES.items():
        page.goto(path)
        look(page, heading, f"ko{path.replace('/', '-')}")
    page.goto("/admin/users?search=grace")
    page.get_by_role("link", name=re.compile("grace-")).click()
    expect(page.get_by_role("heading", name="최근 활동")).to_be_visible()
    look(page, page.get_by_role("heading", level=1).inner_text(), "ko-user")


def test_visitor_and_account_choose_a_language(open_page: Callable[..., Page]) -> None:
    page = open_page("/sign-up", java_script_enabled=False, viewport=NARROW)
    press(page, "한국어")
    expect(page.get_by_role("heading", level=1)).to_have_text("계정 만들기")
    sign_up(page, "kim@example.com")
    page.get_by_role("link", name="언어 변경").click()
    page.get_by_label("언어").select_option("English")
    press(page, "저장")
    expect(page.get_by_role("status")).to_have_text("Your language is saved.")
