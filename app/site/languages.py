"""The language of who is not signed in: a cookie keeps it, where the account cannot yet."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Form, Request, Response

from app.site.dependencies import CookieDep
from app.site.forms import LanguageChoice
from app.site.routing import go, new_router
from app.web.negotiation import COOKIES

router = new_router()
_YEAR: Final = 365 * 24 * 60 * 60  # seconds
_PUBLIC: Final = re.compile(r"/(?:sign-in|sign-up)?(?:\?next=[\w/%-]*)?")


@router.post("/language")
async def choose_language(
    request: Request, cookie: CookieDep, form: Annotated[LanguageChoice, Form()]
) -> Response:
    """Have the browser ask for this language, and show the same page again."""
    answer = go(_find_page(request))
    over_https, otherwise = COOKIES
    name = over_https if cookie.is_secure else otherwise
    answer.set_cookie(
        name, form.language, _YEAR, secure=cookie.is_secure, httponly=True, samesite="lax"
    )
    return answer


def _find_page(request: Request) -> str:
    """Return the public page with the button that was pressed."""
    url = urlsplit(request.headers.get("referer", ""))
    page = f"{url.path}?{url.query}" if url.query else url.path
    return page if _PUBLIC.fullmatch(page) else "/"
