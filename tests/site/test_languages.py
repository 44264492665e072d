"""The pages in the language of whoever looks."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.parts import NAME, SIGN_IN
from app.web.languages import NAMES
from app.web.pages.rendering import Pages
from tests.auth.test_authorization import Cast, cast
from tests.site.test_routes import DECISIONS, make_forms, objects
from tests.speech import Marking, find_unmarked

__all__ = ["cast", "objects"]  # fixtures
OWN = {"Sec-Fetch-Site": "same-origin"}


def check_language(answer: Response, language: str) -> None:
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["content-language"] == language
    assert "Accept-Language" in answer.headers["vary"]


# What is no text of ours: names, addresses, and what the factories have made.
NO_TEXTS = {*NAME.split(), *["example", "com", "owner", "other", "user", "User", "Laptop"]}
NO_TEXTS |= {"tests", "PostgreSQL", *NAMES.values()}


async def open_all(
    cast: Cast, session: AsyncSession, objects: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[tuple[str, str]]:
    """Open every page and send every form, filled in and empty, as nobody and as who may."""
    connection = await session.connection()
    forms = make_forms(objects)
    for route in DECISIONS:
        method, path = route.split()
        for caller, form in product(("anonymous", "owner", "superuser"), (forms.get(route), {})):
            async with connection.begin_nested() as savepoint:
                client = cast.clients[caller]
                answer = await client.request(
                    method, path.format(**objects), data=form or {}, headers=headers
                )
                client.cookies.clear()
                await savepoint.rollback()
            if answer.headers.get("content-type", "").startswith("text/html"):
                yield f"{route} as {caller} with {form}", answer.text


async def test_no_text_of_a_page_stays_untranslated(
    app: FastAPI, cast: Cast, session: AsyncSession, objects: dict[str, Any]
) -> None:
    app.state.pages = Pages(
        catalogs=dict.fromkeys(NAMES, Marking()),
        service=NAME,
        password_min_length=15,
        deletion_days=0,
        sign_in=SIGN_IN,
    )
    pages = {page: html async for page, html in open_all(cast, session, objects, {})}
    assert len(pages) > 2 * len(DECISIONS)
    for page, html in pages.items():
        assert find_unmarked(html) - NO_TEXTS == set(), page


HOSTILE = (
    b"ko;q=2",
    b"ko;q=-1",
    b"ko;q=nan",
    b"ko;q=0.12345",
    b"ko\xff",
    b"../../ko",
    b"ko\x0b",
    "한국어".encode(),
    b"en_US.UTF-8",
    b"<script>",
    b",;=," * 2000,
    b"q=1;" + b"a" * 8000,
    b"a-" * 4000 + b"ko",
)


@pytest.mark.parametrize("accepted", HOSTILE, ids=range(len(HOSTILE)))
async def test_asked_languages_may_be_anything(client: AsyncClient, accepted: bytes) -> None:
    answer = await client.get("/", headers=[(b"Accept-Language", accepted)])
    assert answer.status_code == 200
    check_language(answer, "en")
