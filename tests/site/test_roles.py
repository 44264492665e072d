"""Roles as administrators see, make, give and take them in the browser."""

import re
from html import unescape
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit.models import AuditEvent
from app.roles.models import Role, UserRole
from app.users.models import User
from tests.conftest import new_client
from tests.factories import make_user, move_login_back
from tests.roles.factories import give_role
from tests.site.test_flows import HOSTILE, Browser, browser, find_heading, find_hidden

__all__ = ["browser"]  # a fixture
ROLES = "/admin/roles"
BOXES = {"permission.users:read": "users:read", "permission.users:write": "users:write"}


async def read_ids(session: AsyncSession) -> list[str]:
    return [str(each) for each in await session.exec(select(Role.id))]


def find_boxes(html: str) -> dict[str, bool]:
    """Return the permissions that a form offers, and whether they are checked."""
    found = re.findall(r'type="checkbox" name="permission\.([^"]+)" value="[^"]+"( checked)?', html)
    return {name: bool(checked) for name, checked in found}


async def enter(app: FastAPI, session: AsyncSession, *permissions: str) -> Browser:
    """Sign somebody in who has these permissions, and no others."""
    holder = await make_user(session)
    await give_role(session, holder, *permissions)
    visitor = Browser(new_client(app))
    await visitor.sign_in(holder)
    return visitor


async def test_administrator_makes_gives_takes_and_deletes_a_role(
    browser: Browser, session: AsyncSession, superuser: User, user: User
) -> None:
    await browser.sign_in(superuser)
    assert "There are none yet" in await browser.open(ROLES)
    html = await browser.open(f"{ROLES}/new")
    assert {"users:read", "roles:write", "users:write"} <= find_boxes(html).keys()
    assert not any(find_boxes(html).values())
    html = await browser.send(f"{ROLES}/new", name=HOSTILE, **BOXES)
    assert "The role is there" in html
    assert find_heading(html) == HOSTILE
    (role_id,) = await read_ids(session)
    html = await browser.send(f"{ROLES}/new", name=HOSTILE, **BOXES)
    assert (browser.status, "Another role has this name" in html) == (409, True)
    assert [name for name, checked in find_boxes(html).items() if checked] == [
        "users:read",
        "users:write",
    ]
    html = await browser.open(f"{ROLES}/{role_id}/change")
    assert find_boxes(html)["users:write"]
    html = await browser.send(f"{ROLES}/{role_id}/change", name=" ", **BOXES)
    html = await browser.send(f"{ROLES}/{role_id}/change", name=f"Support {HOSTILE}")
    assert "The role is changed" in html
    assert "Nothing yet" in html
    page = f"/admin/users/{user.id}"
    assert ">None<" in await browser.open(page)
    assert "has the role now" in await browser.send(f"{page}/roles", role_id=role_id)
    assert "has the role now" in await browser.send(f"{page}/roles", role_id=role_id)  # two tabs
    for path in (page, ROLES, f"{ROLES}/{role_id}", f"/admin/users?role={role_id}"):
        html = await browser.open(path)
        assert "Support &lt;script" in html, path
        assert "<script>alert" not in html, path
    assert user.email in html
    assert superuser.email not in html
    assert user.email in await browser.open(f"/admin/users?search=&state=active&role={role_id}")
    search = f"/admin/users?search={user.email}&state=deactivated&role={role_id}"
    assert "Nobody here is like that" in await browser.open(search)
    html = await browser.open(f"{page}/roles/{role_id}/take")
    assert find_heading(html) == "Take this role away?"
    assert user.email in html
    html = await browser.send(f"{page}/roles/{role_id}/take")
    assert "no longer has the role" in html
    await browser.send(f"{page}/roles/{role_id}/take")  # of another tab
    assert browser.status == 404
    assert find_heading(await browser.open(f"{ROLES}/{role_id}/delete")) == "Delete this role?"
    assert "The role is deleted" in await browser.send(f"{ROLES}/{role_id}/delete")
    for again in (f"{ROLES}/{role_id}/delete", f"{ROLES}/{role_id}/change"):
        await browser.send(again, **({"name": "x"} if again.endswith("change") else {}))
        assert browser.status == 404
    await browser.send(f"{page}/roles", role_id=role_id)
    assert browser.status == 404


async def test_what_is_done_with_roles_is_an_event(
    browser: Browser, session: AsyncSession, superuser: User, user: User
) -> None:
    await browser.sign_in(superuser)
    await browser.send(f"{ROLES}/new", name="Support", **BOXES)
    (role_id,) = await read_ids(session)
    await browser.send(f"{ROLES}/{role_id}/change", name="Support")
    page = f"/admin/users/{user.id}/roles"
    await browser.send(page, role_id=role_id)
    await browser.send(f"{page}/{role_id}/take")
    await browser.send(f"{ROLES}/{role_id}/delete")
    events = (
        await session.exec(
            select(AuditEvent).where(col(AuditEvent.details)["role_id"].as_string() == role_id)
        )
    ).all()
    assert {each.kind for each in events} == {
        f"pages-{each}_role" for each in ("create", "update", "assign", "withdraw", "delete")
    }
    assert {each.user_id for each in events if "sign" in each.kind or "draw" in each.kind} == {
        user.id
    }
    html = await browser.open(f"/admin/events?user={user.id}")
    assert "Role given" in html
    assert f'<a href="/admin/roles/{role_id}">' in html
    assert "Role taken away" in html


async def test_list_by_role_goes_on_by_pages(
    browser: Browser, session: AsyncSession, superuser: User
) -> None:
    holders = [await make_user(session) for _ in range(3)]
    role = await give_role(session, holders[0])
    session.add_all([UserRole(user_id=each.id, role_id=role.id) for each in holders[1:]])
    await session.commit()
    await browser.sign_in(superuser)
    path, seen = f"/admin/users?role={role.id}&limit=2", ""
    for _ in range(2):
        html = await browser.open(path)
        seen += html
        older = re.findall(r'href="([^"]+cursor=[^"]+)">Older', html)
        path = f"{unescape(older[0])}&limit=2" if older else ""
    assert path == ""
    assert [seen.count(f">{each.email}</a>") for each in holders] == [1, 1, 1]
    await browser.open(f"/admin/users?role={uuid4()}")
    assert browser.status == 404
    await browser.open("/admin/users?role=support")
    assert browser.status == 422


async def test_asvs_8_2_2_nobody_passes_on_more_than_they_have(
    app: FastAPI, session: AsyncSession, user: User
) -> None:
    above = await give_role(session, await make_user(session), "users:read", "users:write")
    visitor = await enter(app, session, "roles:read", "roles:write", "users:read")
    assert find_boxes(await visitor.open(f"{ROLES}/new")).keys() == {
        *("roles:read", "roles:write", "users:read")
    }
    html = await visitor.send(f"{ROLES}/new", name="Auditors", **BOXES)
    assert (visitor.status, "permissions that you do not have" in html) == (403, True)
    html = await visitor.open(f"{ROLES}/{above.id}")
    assert "more than you may do" in html
    assert f"{above.id}/delete" not in html
    page = f"/admin/users/{user.id}"
    assert str(above.id) not in await visitor.open(page)
    for path, form in (
        (f"{ROLES}/{above.id}/change", {"name": "x"}),
        (f"{ROLES}/{above.id}/delete", {}),
        (f"{page}/roles", {"role_id": str(above.id)}),
        (f"{page}/roles/{above.id}/take", {}),
    ):
        html = await visitor.send(path, **form)
        assert visitor.status == 403, path
        assert "permissions that you do not have" in html
    assert "The role is there" in await visitor.send(f"{ROLES}/new", name="Readers")
    await visitor.client.aclose()


# What each permission opens, of all pages of administration.
OPENED = {
    "users:read": {"/admin/users", "/admin/users/{user_id}"},
    "roles:read": {ROLES, f"{ROLES}/{{role_id}}"},
    "audit:read": {"/admin/events"},
    "users:write": set[str](),
    "roles:write": {"/admin/users/{user_id}/roles/{role_id}/take"},
}


@pytest.mark.parametrize("permission", OPENED)
async def test_asvs_8_2_1_permission_opens_its_pages_and_shows_no_others(
    app: FastAPI, session: AsyncSession, user: User, permission: str
) -> None:
    role = await give_role(session, user)
    visitor = await enter(app, session, permission)
    for path in {"/admin/mail", "/admin/service"}.union(*OPENED.values()):
        html = await visitor.open(path.format(user_id=user.id, role_id=role.id))
        assert (visitor.status == 200) == (path in OPENED[permission]), path
        if visitor.status == 200 and find_heading(html) != "Take this role away?":
            tabs = {each for each in ("users", "roles", "events", "mail") if tab(each) in html}
            assert [f"/admin/{each}" for each in tabs] == [
                each for each in OPENED[permission] if each.count("/") == 2
            ]
            for forbidden in ("Invite a user", "Add a role", "/deactivate", "Take away", "/change"):
                assert forbidden not in html, path
    await visitor.open("/admin")
    assert (visitor.status == 200) == permission.endswith(":read")
    html = await visitor.open(f"/admin/users?role={role.id}")
    assert visitor.status == 403
    html = await visitor.open("/account")
    assert ('href="/admin"' in html) == permission.endswith(":read")
    await visitor.client.aclose()


def tab(name: str) -> str:
    return f'<li><a href="/admin/{name}"'


async def test_session_that_ends_amid_the_form_of_a_role_loses_no_permission(
    browser: Browser, session: AsyncSession, superuser: User
) -> None:
    await browser.sign_in(superuser)
    await move_login_back(session, superuser, authenticated_at="20 minutes")
    html = await browser.send(f"{ROLES}/new", name="Auditors", **BOXES)
    assert find_heading(html) == "Confirm that it is you"
    html = await browser.sign_in(superuser, **find_hidden(html))
    assert find_heading(html) == "Welcome back"
    html = await browser.send(f"{ROLES}/new", **find_hidden(html))
    assert find_heading(html) == "Auditors"
    assert (await session.exec(select(Role))).one().permissions == ["users:read", "users:write"]


async def test_roles_that_are_wrong_are_refused_by_their_form(
    browser: Browser, superuser: User
) -> None:
    await browser.sign_in(superuser)
    for name, boxes in (
        ("", []),
        ("x" * 101, []),
        ("a\nb", []),
        ("Wrong", ["users:red"]),
        ("Wrong", [""]),
        ("Wrong", ["x" * 101]),
        ("Many", [f"p{n}" for n in range(101)]),
    ):
        form = {"name": name, **{f"permission.{each}": each for each in boxes}}
        html = await browser.send(f"{ROLES}/new", **form)
        assert (browser.status, find_heading(html)) == (422, "Add a role"), name
        assert 'class="error"' in html, name
    html = await browser.send(f"{ROLES}/new", name="Wrong", other="x")
    assert (browser.status, 'role="alert"' in html) == (422, True)
    await browser.send(f"/admin/users/{superuser.id}/roles", role_id="none")
    assert browser.status == 422


async def test_api_finds_users_whose_address_is_not_confirmed(
    superuser_client: AsyncClient, user: User
) -> None:
    answer = await superuser_client.get("/api/v1/users?state=unverified")
    assert user.email in {each["email"] for each in answer.json()["data"]}
