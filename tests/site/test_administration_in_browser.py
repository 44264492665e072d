"""Administration in a real Chromium, as an administrator and axe-core see it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.parts import NAME
from tests.browsers import MISSING, find_browser
from tests.site.browsing import NARROW, WIDE, Site, look, open_page, press, sign_in, site, tab_to
from tools import demo

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

__all__ = ["open_page", "site"]  # fixtures


def test_administrator_looks_at_everything(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/admin/users", viewport=WIDE)
    sign_in(page, demo.ADMINISTRATOR, site.password)
    look(page, "Users", "users")
    page.get_by_label("Name or address").fill("Grace")
    press(page, "Search")
    look(page, "Users", "users-found")
    page.get_by_role("link", name=re.compile("grace-")).click()
    expect(page).to_have_url(re.compile("/admin/users/[0-9a-f-]{36}$"))
    look(page, page.get_by_role("heading", level=1).inner_text(), "user")
    page.get_by_role("link", name="Deactivate").click()
    look(page, "Deactivate this account?", "deactivate")
    press(page, "Deactivate")
    expect(page.get_by_role("status")).to_contain_text("The account is deactivated")
    for name in ("Events", "Mail", "Service"):
        page.get_by_role("link", name=name, exact=True).click()
        look(page, name, f"admin-{name.lower()}")
    page.goto("/admin/users/new")
    look(page, "Invite a user", "invite")
    page.goto(f"/admin/users/{'0' * 32}")
    look(page, "Not found", "not-found")


def test_administrator_makes_a_role_and_gives_it(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin")
    sign_in(page, demo.ADMINISTRATOR, site.password)
    page.get_by_role("link", name="Roles").click()
    look(page, "Roles", "roles")
    page.get_by_role("link", name="Add a role").click()
    look(page, "Add a role", "role-new")
    page.get_by_label("Name").fill("Support")
    press(page, "Add")
    look(page, "Add a role", "role-taken")
    page.get_by_label("Name").fill("Readers")
    page.get_by_label("users:read").check()
    press(page, "Add")
    look(page, "Readers", "role")
    page.goto("/admin/users?search=gana")
    page.get_by_role("link", name=re.compile("gana-")).click()
    page.get_by_label("Another role").select_option("Readers")
    press(page, "Give")
    expect(page.get_by_role("status")).to_have_text("The user has the role now.")
    look(page, page.get_by_role("heading", level=1).inner_text(), "user-with-roles")
    page.get_by_role("link", name="Readers", exact=True).click()
    page.get_by_role("link", name="See the users").click()
    look(page, "Users", "users-by-role")
    page.get_by_role("link", name=re.compile("gana-")).click()
    page.get_by_role("link", name="Take away: Readers").click()
    look(page, "Take this role away?", "role-taking")
    press(page, "Take the role")
    expect(page.get_by_role("status")).to_have_text("The user no longer has the role.")


def test_holder_of_a_role_sees_what_it_permits(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/admin/users?search=ada-")
    sign_in(page, demo.ADMINISTRATOR, site.password)
    email = page.get_by_role("link", name=re.compile("ada-")).inner_text()
    press(page, "Sign out")
    page.goto("/sign-in")
    sign_in(page, email, site.password)
    look(page, "Your account", "account-of-support")
    page.get_by_role("link", name="Go there").click()
    look(page, "Users", "users-of-support")
    page.get_by_role("link", name=email).click()
    look(page, email, "user-of-support")
    page.get_by_role("link", name="Roles").click()
    page.get_by_role("link", name="Support").click()
    look(page, "Support", "role-of-support")
    page.goto("/admin/users/new")
    look(page, "Not allowed", "not-allowed")


def test_administration_works_without_javascript(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin/users", java_script_enabled=False, viewport=NARROW)
    sign_in(page, demo.ADMINISTRATOR, site.password)
    page.get_by_label("Name or address").fill("wolfe")
    page.get_by_label("Show").select_option("Not confirmed")
    press(page, "Search")
    page.get_by_role("link", name=re.compile("wolfe-")).click()
    page.get_by_role("link", name="Deactivate").click()
    press(page, "Deactivate")
    expect(page.get_by_role("status")).to_contain_text("The account is deactivated")
    page.get_by_role("link", name="Activate").click()
    press(page, "Activate")
    expect(page.get_by_role("status")).to_have_text("The account is active again.")
    page.get_by_role("link", name="Mail", exact=True).click()
    press(page, "Try now: Password reset")
    expect(page.get_by_role("status")).to_have_text("The mail is tried again at once.")


def test_administrator_looks_after_a_user_by_keyboard_alone(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/admin/users")
    page.keyboard.type(demo.ADMINISTRATOR)
    page.keyboard.press("Tab")
    page.keyboard.type(site.password)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Name or address"))
    page.keyboard.type("bobby")
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name=re.compile("bobby-")))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Activate"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Activate"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The account is active again.")
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
