"""The pages of mails, in the language of who opens them."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient

from app.parts import NAME
from app.web.languages import NAMES
from app.web.pages.rendering import Pages
from tests.factories import PASSWORD
from tests.speech import Marking, find_unmarked

FORMS: tuple[dict[str, str], ...] = (
    {},
    {"token": "uml_x", "new_password": "short", "email": "ada@example.com"},
    {"token": "x" * 256, "new_password": "x" * 129, "email": "x" * 256},
    {"token": "uml_x", "new_password": PASSWORD, "email": "a\0"},
)


async def open_all(
    app: FastAPI, client: AsyncClient, headers: dict[str, str]
) -> AsyncIterator[tuple[str, str]]:
    for route in iter_route_contexts(app.routes):
        if route.methods and "pages" in route.tags and "site" not in route.tags:
            for method in route.methods or ():
                for form in FORMS[: 1 if method == "GET" else None]:
                    path = str(route.path)
                    answer = await client.request(method, path, data=form, headers=headers)
                    yield f"{method} {path} {form}", answer.text


async def test_no_text_of_a_page_stays_untranslated(app: FastAPI, client: AsyncClient) -> None:
    marked = dict.fromkeys(NAMES, Marking())
    app.state.pages = Pages(
        catalogs=marked, service=NAME, password_min_length=15, sign_in="sign-in"
    )
    async for page, html in open_all(app, client, {}):
        assert find_unmarked(html) - {*NAME.split(), "ada", "example", "com"} == set(), page
