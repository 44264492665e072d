"""Pages as the visitor sees them: what is above each, and the policy that browsers keep to."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.responses import Response

from app.auth.sessions import Login
from app.site.assets import ASSETS
from app.site.browsers import find_device
from app.web.pages.routing import PagesFor

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # For browsers that say nothing of where a form is from but its `Origin`.
    "Referrer-Policy": "same-origin",
}
_VALUES: Final = {
    "assets": {name: f"/assets/{asset.path}" for name, asset in ASSETS.items()},
    "find_device": find_device,
    "done": None,
    "enrolment": None,
    "kept": {},
    "next_path": "/account",
    "rights": frozenset(),
}


class Viewer(NamedTuple):
    """Who is looking: what the head of each page shows of them."""

    email: str
    full_name: str | None
    is_superuser: bool
    is_recent: bool

    @classmethod
    def of(cls, login: Login) -> "Viewer":
        user = login.user
        return cls(user.email, user.full_name, user.is_superuser, login.is_recent)


def render(
    pages: PagesFor,
    template: str,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    """Fill a template of this folder."""
    response = pages.render(template, status, headers, **_VALUES | values)
    response.headers.update(_HEADERS)
    return response
