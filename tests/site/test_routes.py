"""Who may open which page, and send which form: one table for all of them."""

import json
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox
from app.site.assets import ASSETS
from tests.auth.test_authorization import APP, CALLERS, Cast, cast
from tests.factories import PASSWORD, make_account, make_invitation

__all__ = ["cast"]  # a fixture

# The statuses for: anonymous, the object's owner, another user, a superuser.
OPEN = (200, 200, 200, 200)
ENTERS = (303, 303, 303, 303)
USERS = (303, 200, 200, 200)  # who is not signed in is led to where to do so
SENDS = (303, 303, 303, 303)
TYPED = (401, 303, 303, 303)  # what was typed is kept, so the page to sign in is the answer
ADMIN = (303, 403, 403, 200)
CHANGES = (303, 403, 403, 303)
DECISIONS = {
    # First, as a code of an app is right for a minute.
    "POST /account/second-factors/app/confirm": (303, 400, 200, 400),
    "GET /": OPEN,
    "GET /assets/{name}": OPEN,
    "GET /sign-up": OPEN,
    "POST /sign-up": ENTERS,
    "GET /sign-in": (200, 303, 303, 303),
    "POST /sign-in": ENTERS,
    "POST /sign-in/code": ENTERS,
    "POST /sign-in/passkey": ENTERS,
    "POST /sign-out": ENTERS,
    "POST /language": ENTERS,
    "GET /account": USERS,
    "GET /account/language": USERS,
    "POST /account/language": SENDS,
    "POST /account/verification": SENDS,
    "GET /account/name": USERS,
    "POST /account/name": TYPED,
    "GET /account/email": USERS,
    "POST /account/email": TYPED,
    "GET /account/password": USERS,
    "POST /account/password": SENDS,
    "GET /account/export": USERS,
    "GET /account/delete": USERS,
    "POST /account/delete": (303, 303, 422, 422),
    "GET /account/second-factors": USERS,
    "POST /account/second-factors/app": (303, 409, 200, 200),
    "GET /account/second-factors/app/remove": USERS,
    "POST /account/second-factors/app/remove": (303, 303, 404, 404),
    "POST /account/second-factors/recovery-codes": (303, 200, 409, 409),
    "GET /account/devices": USERS,
    "POST /account/devices/sign-out": SENDS,
    "POST /account/devices/{session_id}/sign-out": (303, 303, 404, 404),
    "GET /account/events": USERS,
    "GET /account/passkeys": USERS,
    "POST /account/passkeys": (303, 303, 400, 400),
    "GET /account/passkeys/{passkey_id}": (303, 200, 404, 404),
    "POST /account/passkeys/{passkey_id}": (401, 303, 404, 404),
    "GET /account/passkeys/{passkey_id}/remove": (303, 200, 404, 404),
    "POST /account/passkeys/{passkey_id}/remove": (303, 303, 404, 404),
    "GET /admin": CHANGES,
    "GET /admin/users": ADMIN,
    "GET /admin/users/new": ADMIN,
    "POST /admin/users/new": (401, 403, 403, 303),
    "GET /admin/users/{user_id}": ADMIN,
    "GET /admin/users/{user_id}/{change}": ADMIN,
    "POST /admin/users/{user_id}/deactivate": CHANGES,
    "POST /admin/users/{user_id}/activate": CHANGES,
    "POST /admin/users/{user_id}/promote": CHANGES,
    "POST /admin/users/{user_id}/demote": CHANGES,
    "POST /admin/users/{user_id}/sign-out": CHANGES,
    "POST /admin/users/{user_id}/mail-link": CHANGES,
    "POST /admin/users/{user_id}/reset-second-factors": CHANGES,
    "POST /admin/users/{user_id}/delete": CHANGES,
    "POST /admin/users/{user_id}/roles": CHANGES,
    "GET /admin/users/{user_id}/roles/{role_id}/take": ADMIN,
    "POST /admin/users/{user_id}/roles/{role_id}/take": CHANGES,
    "GET /admin/roles": ADMIN,
    "GET /admin/roles/new": ADMIN,
    "POST /admin/roles/new": (401, 403, 403, 303),
    "GET /admin/roles/{role_id}": ADMIN,
    "GET /admin/roles/{role_id}/change": ADMIN,
    "POST /admin/roles/{role_id}/change": (401, 403, 403, 303),
    "GET /admin/roles/{role_id}/delete": ADMIN,
    "POST /admin/roles/{role_id}/delete": CHANGES,
    "GET /admin/mail": ADMIN,
    "POST /admin/mail/{mail_id}/retry": CHANGES,
    "GET /admin/service": ADMIN,
    "GET /admin/events": ADMIN,
}


def make_forms(objects: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is typed into the forms that need something."""
    new_password = f"new {PASSWORD}"
    return {
        "POST /sign-up": make_account("new@example.com", full_name=""),
        "POST /sign-in": {"username": "other@example.com", "password": PASSWORD},
        "POST /sign-in/code": {
            "challenge": objects["challenge"],
            "code": objects["recovery_code"],
        },
        "POST /sign-in/passkey": {"credential": json.dumps(objects["passkey_login"])},
        "POST /language": {"language": "en"},
        "POST /account/name": {"full_name": "Ada"},
        "POST /account/email": {"new_email": "new@example.com"},
        "POST /account/password": {"current_password": PASSWORD, "new_password": new_password},
        "POST /account/delete": {"confirmation": "owner@example.com"},
        "POST /account/second-factors/app/confirm": {"code": objects["first_code"]},
        "POST /account/passkeys": {
            "name": "New",
            "credential": json.dumps(objects["new_passkey"]),
        },
        "POST /account/passkeys/{passkey_id}": {"name": "New"},
        "POST /admin/users/new": make_invitation("new@example.com"),
        "POST /admin/users/{user_id}/roles": {"role_id": str(objects["role_id"])},
        "POST /admin/roles/new": {"name": "New"},
        "POST /admin/roles/{role_id}/change": {"name": "New"},
    }


def test_every_page_has_a_decision() -> None:
    pages = {
        f"{method} {route.path}"
        for route in iter_route_contexts(APP.routes)
        for method in route.methods or ()
        if "site" in route.tags  # which a WebSocket does not have
    }
    assert pages == DECISIONS.keys()


@pytest.fixture
async def objects(cast: Cast, session: AsyncSession) -> dict[str, Any]:
    for client in cast.clients.values():
        client.headers["Sec-Fetch-Site"] = "same-origin"
    mail_id = (await session.exec(select(Outbox.id).order_by(col(Outbox.run_at)).limit(1))).one()
    named = {"name": ASSETS["css"].path, "change": "delete", "mail_id": mail_id}
    return cast.objects | named


async def test_page_lets_only_those_in_who_may(
    cast: Cast, session: AsyncSession, objects: dict[str, Any]
) -> None:
    connection = await session.connection()
    forms = make_forms(objects)
    for route, decisions in DECISIONS.items():
        method, path = route.split()
        for caller, expected in zip(CALLERS, decisions, strict=True):
            async with connection.begin_nested() as savepoint:
                client = cast.clients[caller]
                answer = await client.request(
                    method, path.format(**objects), data=forms.get(route, {})
                )
                client.cookies.clear()
                await savepoint.rollback()
            assert answer.status_code == expected, (route, caller, answer.text)
            if caller == "anonymous" and expected == 303 and decisions is not ENTERS:
                assert answer.headers["location"].startswith("/sign-in?next=/a"), route
            if answer.headers.get("content-type", "").startswith("text/html"):
                check_page(answer.headers["content-security-policy"], answer.text)


def check_page(policy: str, html: str) -> None:
    """No page has a script or a style of its own, loads from elsewhere, or lacks a title."""
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert html.count("<h1>") == 1, html
    assert "<style" not in html
    assert " style=" not in html
    assert html.count("<script") == 1
    assert "://" not in html.replace("http://www.w3.org/2000/svg", "")
