"""The cookie of a browser that is signed in, and when it counts."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.site.cookie import SessionCookie
from app.users.models import User
from tests.conftest import new_client
from tests.factories import PASSWORD, make_token, make_user
from tests.problems import read_problem
from tests.statements import record_statements

ORIGIN = "https://app.example.com"
ME = "/api/v1/users/me"
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def browser(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    """A browser that has signed in to the service at `ORIGIN`."""
    app.state.token_sources = (SessionCookie.at(ORIGIN),)
    async with new_client(app) as client:
        client.base_url = ORIGIN
        answer = await sign_in(client, user)
        assert answer.headers["location"] == "/account"
        yield client


async def sign_in(client: AsyncClient, user: User) -> Response:
    form = {"username": user.email, "password": PASSWORD}
    answer = await client.post("/sign-in", data=form, headers=OWN)
    assert answer.status_code == 303, answer.text
    return answer


async def test_asvs_3_3_4_no_script_and_no_other_host_gets_at_the_cookie(
    browser: AsyncClient, user: User
) -> None:
    (cookie,) = (await sign_in(browser, user)).headers.get_list("set-cookie")
    assert re.fullmatch(
        r"__Host-session=ust_[\w-]{43}; HttpOnly; Max-Age=25\d{5}; Path=/; SameSite=lax; Secure",
        cookie,
    )
    sessions = (await browser.get("/api/v1/auth/sessions")).json()
    assert [each["current"] for each in sessions] == [True]  # the login before has ended


@pytest.mark.parametrize(
    ("url", "name", "is_secure"),
    [
        (ORIGIN, "__Host-session", True),
        ("http://192.0.2.1:8000", "__Host-session", True),
        ("http://localhost.example.com", "__Host-session", True),
        ("http://localhost:8000", "session", False),
        ("http://127.0.0.1:8000", "session", False),
        ("http://[::1]:8000", "session", False),
    ],
)
def test_asvs_3_3_3_cookie_needs_https_but_on_ones_own_machine(
    url: str, name: str, *, is_secure: bool
) -> None:
    assert SessionCookie.at(url)[:2] == (name, is_secure)


async def test_asvs_3_5_1_cookie_counts_for_pages_of_its_own_origin_alone(
    browser: AsyncClient, user: User
) -> None:
    assert (await browser.get(ME)).json()["id"] == str(user.id)
    for foreign in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Origin": "null"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "http://app.example.com"},
        {"Origin": f"{ORIGIN}.evil.example.com"},
    ):
        answer = await browser.patch(ME, json={"full_name": "Eve"}, headers=foreign)
        read_problem(answer, 403, "cross_site_request")
        for path in ("/account/name", "/sign-in", "/sign-out", "/sign-up"):
            answer = await browser.post(path, data={"full_name": "Eve"}, headers=foreign)
            assert (answer.status_code, "Eve" in answer.text) == (403, False)
    for own in (OWN, {"Origin": ORIGIN}, {**OWN, "Origin": "null"}):
        answer = await browser.patch(ME, json={"full_name": "Ada"}, headers=own)
        assert answer.json()["full_name"] == "Ada"


async def test_token_in_a_header_wins_and_needs_no_origin(
    browser: AsyncClient, session: AsyncSession
) -> None:
    other = await make_user(session)
    header = {"Authorization": f"Bearer {await make_token(session, other)}"}
    answer = await browser.patch(ME, json={"full_name": "Bob"}, headers=header)
    assert answer.json()["id"] == str(other.id)
    for wrong in ("Bearer ust_x", "Bearer ", f"Bearer ust_{'a' * 43}"):
        answer = await browser.get(ME, headers={"Authorization": wrong})
        read_problem(answer, 401, "invalid_token")


async def test_cookie_that_is_no_token_signs_nobody_in(browser: AsyncClient) -> None:
    browser.cookies.clear()
    for value in ("", "ust_x", "x" * 4000, "\xe9", '"ust_', f"ust_{'a' * 43}"):
        cookie = {b"Cookie": f"__Host-session={value}".encode("latin-1")}
        answer = await browser.get(ME, headers=cookie)
        read_problem(answer, 401, "invalid_token" if value else "not_authenticated")


async def test_cookie_costs_one_statement_and_ends_with_its_session(
    browser: AsyncClient,
) -> None:
    with record_statements() as statements:
        await browser.get(ME)
    assert len(statements) == 1
    cookie = {"Cookie": f"__Host-session={browser.cookies['__Host-session']}"}
    answer = await browser.post("/sign-out", headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["clear-site-data"] == '"cache"'
    assert "__Host-session" not in browser.cookies
    read_problem(await browser.get(ME, headers=cookie), 401, "invalid_token")
    again = await browser.post("/sign-out", headers=OWN)  # of a page that is still open
    assert again.status_code == 303
