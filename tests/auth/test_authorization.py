"""Who may call what: one table of decisions for every route that the application has."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient, Response
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.routing import WebSocketRoute

from app.auth.authorization import list_access
from app.auth.models import LoginSession
from app.mail.service import EMAIL_VERIFICATION, PASSWORD_RESET
from app.main import create_app
from app.settings import Settings
from app.users.models import User
from tests.conftest import new_client
from tests.factories import (
    PASSWORD,
    make_account,
    make_mail_token,
    make_superuser,
    make_token,
    make_user,
    sign_in,
)
from tests.passkeys.factories import make_passkey_objects
from tests.problems import read_problem
from tests.roles.factories import make_role_objects
from tests.second_factors.factories import (
    add_recovery_codes,
    add_totp,
    make_challenge,
    make_code,
    make_reset_token,
)
from tests.values import make_value

# The statuses for: anonymous, the object's owner, another user, a superuser.
# A route about the caller's own things has no other's object: both users get the same.
DECISIONS = {
    "GET /healthz": (200, 200, 200, 200),
    "GET /readyz": (200, 200, 200, 200),
    "GET /openapi.json": (200, 200, 200, 200),
    "GET /docs": (200, 200, 200, 200),
    "GET /docs/swagger-ui-bundle.js": (200, 200, 200, 200),
    "GET /docs/swagger-ui.css": (200, 200, 200, 200),
    "GET /docs/favicon.png": (200, 200, 200, 200),
    "GET /set-password": (200, 200, 200, 200),
    "POST /set-password": (200, 200, 200, 200),
    "GET /confirm-email": (200, 200, 200, 200),
    "POST /confirm-email": (200, 200, 200, 200),
    "GET /forgot-password": (200, 200, 200, 200),
    "POST /forgot-password": (200, 200, 200, 200),
    "POST /api/v1/auth/signup": (201, 201, 201, 201),
    "POST /api/v1/auth/login": (200, 200, 200, 200),
    "POST /api/v1/auth/login/second-factor": (200, 200, 200, 200),
    "GET /api/v1/users/me/second-factors": (401, 200, 200, 200),
    "POST /api/v1/users/me/second-factors/totp": (401, 409, 201, 201),
    "POST /api/v1/users/me/second-factors/totp/confirm": (401, 400, 200, 400),
    "DELETE /api/v1/users/me/second-factors/totp": (401, 204, 404, 404),
    "POST /api/v1/users/me/second-factors/recovery-codes": (401, 200, 409, 409),
    "POST /api/v1/users/{user_id}/second-factor-reset": (401, 403, 403, 202),
    "POST /api/v1/auth/second-factor-reset/confirm": (204, 204, 204, 204),
    "GET /reset-second-factors": (200, 200, 200, 200),
    "POST /reset-second-factors": (200, 200, 200, 200),
    "POST /api/v1/auth/login/passkey/options": (200, 200, 200, 200),
    "POST /api/v1/auth/login/passkey": (200, 200, 200, 200),
    "POST /api/v1/auth/login/second-factor/passkey/options": (200, 200, 200, 200),
    "POST /api/v1/auth/login/second-factor/passkey": (200, 200, 200, 200),
    "GET /api/v1/users/me/passkeys": (401, 200, 200, 200),
    "POST /api/v1/users/me/passkeys/options": (401, 200, 200, 200),
    "POST /api/v1/users/me/passkeys": (401, 201, 400, 400),
    "PATCH /api/v1/users/me/passkeys/{passkey_id}": (401, 200, 404, 404),
    "DELETE /api/v1/users/me/passkeys/{passkey_id}": (401, 204, 404, 404),
    "POST /api/v1/auth/logout": (401, 204, 204, 204),
    "GET /api/v1/auth/sessions": (401, 200, 200, 200),
    "DELETE /api/v1/auth/sessions": (401, 204, 204, 204),
    "DELETE /api/v1/auth/sessions/{session_id}": (401, 204, 404, 404),
    "POST /api/v1/auth/password-reset": (202, 202, 202, 202),
    "POST /api/v1/auth/password-reset/confirm": (204, 204, 204, 204),
    "POST /api/v1/auth/email-verification": (401, 202, 202, 202),
    "POST /api/v1/auth/email-verification/confirm": (204, 204, 204, 204),
    "GET /api/v1/users/me": (401, 200, 200, 200),
    "PATCH /api/v1/users/me": (401, 200, 200, 200),
    "DELETE /api/v1/users/me": (401, 204, 204, 204),
    "GET /api/v1/users/me/export": (401, 200, 200, 200),
    "PUT /api/v1/users/me/password": (401, 204, 204, 204),
    "POST /api/v1/users/me/email": (401, 202, 202, 202),
    "GET /api/v1/users": (401, 403, 403, 200),
    "POST /api/v1/users": (401, 403, 403, 201),
    "GET /api/v1/users/{user_id}": (401, 403, 403, 200),
    "PATCH /api/v1/users/{user_id}": (401, 403, 403, 200),
    "DELETE /api/v1/users/{user_id}": (401, 403, 403, 204),
    "DELETE /api/v1/users/{user_id}/sessions": (401, 403, 403, 204),
    "POST /api/v1/users/{user_id}/password-reset": (401, 403, 403, 202),
    "GET /api/v1/users/me/events": (401, 200, 200, 200),
    "GET /api/v1/audit": (401, 403, 403, 200),
    "GET /api/v1/users/me/permissions": (401, 200, 200, 200),
    "GET /api/v1/permissions": (401, 403, 403, 200),
    "GET /api/v1/roles": (401, 403, 403, 200),
    "POST /api/v1/roles": (401, 403, 403, 201),
    "GET /api/v1/roles/{role_id}": (401, 403, 403, 200),
    "PATCH /api/v1/roles/{role_id}": (401, 403, 403, 200),
    "DELETE /api/v1/roles/{role_id}": (401, 403, 403, 204),
    "GET /api/v1/users/{user_id}/roles": (401, 403, 403, 200),
    "PUT /api/v1/users/{user_id}/roles/{role_id}": (401, 403, 403, 204),
    "DELETE /api/v1/users/{user_id}/roles/{role_id}": (401, 403, 403, 204),
    "GET /api/v1/items": (401, 200, 200, 200),
    "POST /api/v1/items": (401, 201, 201, 201),
    "GET /api/v1/items/{item_id}": (401, 200, 404, 200),
    "PATCH /api/v1/items/{item_id}": (401, 200, 404, 200),
    "DELETE /api/v1/items/{item_id}": (401, 204, 404, 204),
}
CALLERS = ("anonymous", "owner", "other", "superuser")
# The permission with which others get what superusers get.
PERMISSIONS = {
    "GET /api/v1/users": "users:read",
    "POST /api/v1/users": "users:write",
    "GET /api/v1/users/{user_id}": "users:read",
    "PATCH /api/v1/users/{user_id}": "users:write",
    "DELETE /api/v1/users/{user_id}": "users:write",
    "DELETE /api/v1/users/{user_id}/sessions": "users:write",
    "POST /api/v1/users/{user_id}/password-reset": "users:write",
    "POST /api/v1/users/{user_id}/second-factor-reset": "users:write",
    "GET /api/v1/audit": "audit:read",
    "GET /api/v1/permissions": "roles:read",
    "GET /api/v1/roles": "roles:read",
    "POST /api/v1/roles": "roles:write",
    "GET /api/v1/roles/{role_id}": "roles:read",
    "PATCH /api/v1/roles/{role_id}": "roles:write",
    "DELETE /api/v1/roles/{role_id}": "roles:write",
    "GET /api/v1/users/{user_id}/roles": "roles:read",
    "PUT /api/v1/users/{user_id}/roles/{role_id}": "roles:write",
    "DELETE /api/v1/users/{user_id}/roles/{role_id}": "roles:write",
    "GET /api/v1/items/{item_id}": "items:read-all",
    "PATCH /api/v1/items/{item_id}": "items:write-all",
    "DELETE /api/v1/items/{item_id}": "items:write-all",
}

# What a route needs to succeed, where that is more than values of the types that it requires. A
# function makes another value for each number, where a value may be there once.
BODIES: dict[str, dict[str, Any]] = {
    "POST /set-password": {"data": {"token": "{reset_token}", "new_password": f"new {PASSWORD}"}},
    "POST /confirm-email": {"data": {"token": "{verification_token}"}},
    "POST /forgot-password": {"data": {"email": "owner@example.com"}},
    "POST /api/v1/auth/signup": {"json": make_account("new@example.com")},
    "POST /api/v1/auth/login": {"data": {"username": "other@example.com", "password": PASSWORD}},
    "POST /api/v1/auth/login/second-factor": {
        "json": {"challenge": "{challenge}", "code": "{recovery_code}"}
    },
    "POST /api/v1/auth/login/passkey": {"json": {"credential": "{passkey_login}"}},
    "POST /api/v1/auth/login/second-factor/passkey/options": {"json": {"challenge": "{challenge}"}},
    "POST /api/v1/auth/login/second-factor/passkey": {
        "json": {"challenge": "{challenge}", "credential": "{passkey_second_step}"}
    },
    "POST /api/v1/users/me/passkeys": {"json": {"name": "New", "credential": "{new_passkey}"}},
    "PATCH /api/v1/users/me/passkeys/{passkey_id}": {"json": {"name": "New"}},
    "POST /api/v1/auth/second-factor-reset/confirm": {"json": {"token": "{factor_reset_token}"}},
    "POST /reset-second-factors": {"data": {"token": "{factor_reset_token}"}},
    "POST /api/v1/users/me/second-factors/totp/confirm": {"json": {"code": "{first_code}"}},
    "POST /api/v1/auth/password-reset": {"json": {"email": "owner@example.com"}},
    "POST /api/v1/auth/password-reset/confirm": {
        "json": {"token": "{reset_token}", "new_password": f"new {PASSWORD}"}
    },
    "POST /api/v1/auth/email-verification/confirm": {"json": {"token": "{verification_token}"}},
    "POST /api/v1/users/me/email": {"json": {"new_email": "new@example.com"}},
    "POST /api/v1/roles": {"json": {"name": "New", "permissions": []}},
    "PUT /api/v1/users/me/password": {
        "json": {"current_password": PASSWORD, "new_password": f"new {PASSWORD}"}
    },
}


APP = create_app(Settings(_env_file=None))


def find_routes() -> Iterator[str]:
    """Find every route of requests, in the included routers too, as `METHOD /path`.

    Of the pages that a browser signs in to, tests/site/test_routes.py tells.
    """
    for route in iter_route_contexts(APP.routes):
        if isinstance(route.route, WebSocketRoute):
            continue
        if "site" in route.tags:
            continue
        for method in (route.methods or {"ANY"}) - {"HEAD"}:
            yield f"{method} {route.path}"


def make_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Make JSON bodies of what the OpenAPI document says that routes require."""
    document = APP.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if schema := content.get("application/json", {}).get("schema"):
                body = make_value(schema, document["components"]["schemas"])
                yield f"{method.upper()} {path}", {"json": body}


EVERY_ROUTE = sorted(find_routes())
ROUTES = [route for route in EVERY_ROUTE if route in DECISIONS]  # of the others, one test tells
# Of these, somebody is answered what was asked for, without a body or a header of the test's own.
ANSWERED = [route for route in ROUTES if any(status < 300 for status in DECISIONS[route])]
BODIES = dict(make_bodies()) | BODIES


class Cast:
    """The callers, and the owner's objects that routes are called with."""

    clients: dict[str, AsyncClient]
    objects: dict[str, Any]

    async def call(
        self, route: str, caller: str, query: str = "", **other_objects: object
    ) -> Response:
        method, path = route.split()
        # A project's own routes may name what no test has made: nobody has it.
        objects = defaultdict(uuid4, self.objects | other_objects)
        path = (path + query).format_map(objects)
        return await self.clients[caller].request(method, path, **make_body(route, self.objects))


def make_body(route: str, objects: dict[str, Any]) -> dict[str, Any]:
    """Return the body, with the objects that it names: `{reset_token}`."""
    named = {
        f"{{{name}}}": value if isinstance(value, dict) else str(value)
        for name, value in objects.items()
    }
    body: dict[str, Any] = fill(BODIES.get(route, {}), named)
    return body


_numbers = count(1)


def fill(part: Any, named: dict[str, Any]) -> Any:
    """Give what a part of a body names, and what is called as an object is: `user_id`."""
    if callable(part):
        return part(next(_numbers))
    if isinstance(part, dict):
        return {name: named.get(f"{{{name}}}") or fill(each, named) for name, each in part.items()}
    if isinstance(part, list):
        return [fill(each, named) for each in part]
    return named.get(part, part) if isinstance(part, str) else part


@pytest.fixture
async def cast(app: FastAPI, session: AsyncSession) -> Cast:
    return await make_cast(app, session)


async def make_cast(app: FastAPI, session: AsyncSession) -> Cast:
    owner = await make_user(session, email="owner@example.com")
    other = await make_user(session, email="other@example.com")
    callers = {"owner": owner, "other": other}
    callers["superuser"] = await make_superuser(session)
    await make_superuser(session)  # who may stay when a superuser leaves
    cast = Cast()
    cast.clients = {caller: new_client(app) for caller in CALLERS}
    for caller, user in callers.items():
        await sign_in(cast.clients[caller], session, user)
    cast.objects = {
        "user_id": owner.id,
        "session_id": await make_other_session(session, owner),
        "reset_token": await make_mail_token(session, owner, PASSWORD_RESET),
        "verification_token": await make_mail_token(session, owner, EMAIL_VERIFICATION),
        **await make_second_factors(session, owner, other),
        **await make_role_objects(session, owner),
    }
    for name, path in find_collections(cast.objects):
        route = f"POST {path}"
        created = await cast.call(route, find_caller(route))
        cast.objects[name] = created.json()["id"]
    return cast


async def make_second_factors(session: AsyncSession, owner: User, other: User) -> dict[str, Any]:
    """Give one user an app and recovery codes, and let the other set up an app just now."""
    await add_totp(session, owner)
    first_secret = await add_totp(session, other, is_confirmed=False)
    challenge = await make_challenge(session, owner)
    return {
        **await make_passkey_objects(session, owner, challenge),
        "factor_reset_token": await make_reset_token(session, owner),
        "challenge": challenge,
        "recovery_code": (await add_recovery_codes(session, owner))[0],
        "first_code": make_code(first_secret),
    }


def find_collections(known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Find `item_id` of `/items/{item_id}` with `/items`, to which a POST adds one.

    What the body of another refers to comes before it.
    """
    matches = (re.fullmatch(r"\w+ (.*)/\{(\w+)\}", route) for route in ROUTES)
    paths = {match[2]: match[1] for match in matches if match and f"POST {match[1]}" in ROUTES}
    paths = {name: path for name, path in paths.items() if name not in known}
    while paths:
        needed = {name: {*BODIES[f"POST {path}"].get("json", ())} for name, path in paths.items()}
        name = next(each for each in paths if not needed[each] & paths.keys())
        yield name, paths.pop(name)


def find_caller(route: str) -> str:
    """Return the first who may call the route."""
    decisions = zip(CALLERS, DECISIONS[route], strict=True)
    return next(caller for caller, status in decisions if 200 <= status < 300)


async def make_other_session(session: AsyncSession, user: User) -> object:
    known = set(await session.exec(select(LoginSession.id)))
    await make_token(session, user)
    return (set(await session.exec(select(LoginSession.id))) - known).pop()


def test_every_route_has_a_decision() -> None:
    routes = {route for route in EVERY_ROUTE if route not in DECISIONS}
    lines = "\n".join(f'    "{route}": {suggest(route)},' for route in sorted(routes))
    assert not routes, (
        f"say in DECISIONS in tests/auth/test_authorization.py who may call them, such as\n{lines}"
    )
    gone = DECISIONS.keys() - EVERY_ROUTE
    assert not gone, f"take out of DECISIONS in tests/auth/test_authorization.py: {gone}"


def suggest(route: str) -> tuple[int, ...]:
    """Return what whoever is called `audience` by `app routes` would be answered."""
    access = next(each for each in list_access(APP) if route == f"{each.method} {each.path}")
    success = {"POST": 201, "DELETE": 204}.get(access.method, 200)
    is_for_users = re.match(r"(user|anyone)\b(?!:)", access.audience)
    user = success if is_for_users else 403
    return (success if access.audience == "anyone" else 401, user, user, success)


def test_routes_ask_for_their_permissions() -> None:
    asked = {f"{each.method} {each.path}": each.permission for each in list_access(APP)}
    assert {route: asked[route] for route in ROUTES if asked[route]} == PERMISSIONS, (
        "say in PERMISSIONS in tests/auth/test_authorization.py what they ask for"
    )


@pytest.mark.parametrize("route", ROUTES)
async def test_route_lets_only_those_in_who_may(
    cast: Cast, session: AsyncSession, route: str
) -> None:
    connection = await session.connection()
    for caller, expected in zip(CALLERS, DECISIONS[route], strict=True):
        async with connection.begin_nested() as savepoint:
            answer = await cast.call(route, caller)
            await savepoint.rollback()
        assert answer.status_code == expected, (caller, answer.text)
        if expected == 401:
            read_problem(answer, 401, "not_authenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
        if expected == 403:
            needed = PERMISSIONS.get(route)
            problem = read_problem(
                answer, 403, "permission_required" if needed else "superuser_required"
            )
            assert problem.get("permission") == needed


async def test_anothers_object_answers_like_an_unknown_one(cast: Cast) -> None:
    for route in find_decided(caller="other", status=404):
        answers = [
            await cast.call(route, "other"),
            await cast.call(route, "other", **find_unknown(route)),
        ]
        anothers, unknown = (
            (answer.status_code, answer.json() | {"request_id": None}, answer.headers.keys())
            for answer in answers
        )
        assert anothers == unknown, route


async def test_administration_tells_a_user_nothing_of_what_exists(cast: Cast) -> None:
    for route in find_decided(caller="other", status=403):
        known = await cast.call(route, "other")
        unknown = await cast.call(route, "other", user_id=uuid4())
        malformed = await cast.call(route, "other", user_id="no-id")
        bodies = [answer.json() | {"request_id": None} for answer in (known, unknown, malformed)]
        assert bodies[0] == bodies[1] == bodies[2], route


async def test_every_refused_token_is_answered_alike(cast: Cast) -> None:
    cast.clients["anonymous"].headers["Authorization"] = f"Bearer ust_{'a' * 43}"
    for route in find_decided(caller="anonymous", status=401):
        answer = await cast.call(route, "anonymous")
        read_problem(answer, 401, "invalid_token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def find_unknown(route: str) -> dict[str, Any]:
    """Name objects for the route that nobody has."""
    return {name: uuid4() for name in re.findall(r"\{(\w+)\}", route)}


def find_decided(caller: str, status: int) -> list[str]:
    routes = [route for route in ROUTES if DECISIONS[route][CALLERS.index(caller)] == status]
    assert routes
    return routes
