"""What the pages that links of mails open refuse: too much, too often, and of other sites."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import make_url
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.transactions import Database
from app.mail.models import Outbox
from tests.auth.pages import FORMS, PATHS, TITLES, read_page
from tests.factories import PASSWORD
from tests.problems import read_problem

SURROGATES = b"".join(
    b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\\ud800\r\n' % name
    for name in (b"token", b"new_password", b"email")
)
SURROGATES_TYPE = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_page_says_when_to_try_again(client: AsyncClient) -> None:
    for _ in range(3):
        answer = await client.post("/forgot-password", data=FORMS["/forgot-password"])
        read_page(answer, 200, "Look into your mail")
    answer = await client.post("/forgot-password", data=FORMS["/forgot-password"])
    html = read_page(answer, 429, "Forgot your password?")
    assert "There were too many attempts; try again later." in html
    assert "You can do so in 20 minutes." in html
    assert 1140 < int(answer.headers["retry-after"]) <= 1200


async def test_asvs_6_3_1_tries_of_tokens_are_limited(client: AsyncClient) -> None:
    answers = [
        (await client.post(path, data=FORMS[path])).status_code
        for _ in range(11)
        for path in ("/set-password", "/confirm-email")
    ]
    assert answers == [400] * 20 + [429] * 2


async def test_busy_service_is_told_on_the_page(app: FastAPI, client: AsyncClient) -> None:
    form = FORMS["/forgot-password"]
    app.state.database = Database(make_url("postgresql+psycopg://127.0.0.1:1/none"), pool_size=1)
    answer = await client.post("/forgot-password", data=form)
    html = read_page(answer, 503, "Forgot your password?")
    assert "The service is busy; try again." in html
    assert int(answer.headers["retry-after"]) > 0
    assert f'value="{form["email"]}"' in html


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "canary"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://test"}, 403),
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "https://test.other.example"}, 403),
        ({"Origin": "http://test:8000"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, None),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Origin": "http://test"}, None),
        ({"Origin": "https://test"}, None),  # behind a proxy that speaks TLS
        ({"Origin": "null"}, None),
        ({}, None),
    ],
)
async def test_asvs_3_5_1_post_from_another_site_is_refused(
    client: AsyncClient, session: AsyncSession, headers: dict[str, str], status: int | None
) -> None:
    for path, form in FORMS.items():
        answer = await client.post(path, data=form, headers=headers)
        assert (answer.status_code == 403) == (status == 403), path
        if status == 403:
            html = read_page(answer, 403, TITLES[path])
            assert "sent from another site" in html
            assert not any(value in html for value in form.values())
    assert bool((await session.exec(select(Outbox))).all()) == (status is None)


async def test_asvs_3_5_2_page_opens_from_any_site_and_sets_no_cookie(client: AsyncClient) -> None:
    for path in PATHS:
        answer = await client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&===",
        b"token=&new_password=&email=",
        b"token=%00&new_password=%00&email=%00",
        b"token=%ED%A0%80&new_password=%ED%A0%80&email=%ED%A0%80",
        b"token=\xff&new_password=canary+canary+canary\xff&email=a\xff@example.com",
        b"token=%&new_password=%zz&email=%",
        b"token=" + b"a" * 256 + b"&new_password=" + b"a" * 129 + b"&email=" + b"a" * 256,
        b"token=a\r\nb&new_password=a\r\nb&email=a@example.com\r\nBcc: b@example.com",
        b"token=a&token=b&new_password=" + PASSWORD.encode().replace(b" ", b"+") + b"&email=a",
        b"unknown=1&token=a&new_password=correct+horse+battery+staple&email=ada@example.com",
        b"&".join(b"a%d=" % number for number in range(5_000)),
        b"token=" + b"a" * 70_000,
    ],
)
async def test_page_refuses_hostile_forms(
    client: AsyncClient, session: AsyncSession, body: bytes
) -> None:
    for path in PATHS:
        answer = await client.post(path, content=body, headers=FORM_TYPE)
        assert 400 <= answer.status_code < 500
        html = read_page(answer, answer.status_code, TITLES[path])
        assert re.search(r'class="(?:error|problem)"', html)
        assert "canary canary" not in html
    assert (await session.exec(select(Outbox))).all() == []


async def test_page_refuses_what_is_no_form(client: AsyncClient) -> None:
    for path, form in FORMS.items():
        for answer in (
            await client.post(path, json=form),
            await client.post(path, content=b"a", headers={"Content-Type": "text/plain"}),
            await client.post(path, files=dict.fromkeys(form, b"a file")),
            await client.post(path, content=b"-", headers={"Content-Type": "multipart/form-data"}),
            await client.post(path, content=SURROGATES, headers=SURROGATES_TYPE),
        ):
            assert 400 <= answer.status_code < 500, answer.text


async def test_page_has_get_and_post_only(client: AsyncClient) -> None:
    for path in PATHS:
        read_problem(await client.put(path, data=FORMS[path]), 405, "method_not_allowed")
        head = await client.head(path)
        assert (head.status_code, head.headers["content-type"][:9]) == (200, "text/html")
