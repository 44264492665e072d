"""The cookie that keeps a browser signed in: it carries an access token, as a header would.

`app/auth/dependencies.py` asks for it where a request has no token in its header.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request, Response

from app.auth.schemas import TokenPublic
from app.web.errors import Forbidden

_SAFE: Final = {"GET", "HEAD", "OPTIONS"}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}


class CrossSiteRequest(Forbidden):
    """The request was not sent by a page of this site, so its cookie does not count."""


class SessionCookie(NamedTuple):
    """Its name, whether it needs HTTPS, and the one origin whose pages may send it to change."""

    name: str
    is_secure: bool
    origin: str

    @classmethod
    def at(cls, public_url: str) -> "SessionCookie":
        """Return the cookie of a service that is reached there.

        Browsers take `__Host-` over HTTPS alone. On plain HTTP, somebody who develops on the same
        machine gets a cookie without it; a service that others reach gets none that works.
        """
        url = urlsplit(public_url)
        if url.scheme == "http" and url.hostname in _LOOPBACK:
            return cls("session", is_secure=False, origin=f"{url.scheme}://{url.netloc}")
        return cls("__Host-session", is_secure=True, origin=f"{url.scheme}://{url.netloc}")

    def find_token(self, request: Request) -> str | None:
        """Return its token, if there is one; raise `CrossSiteRequest` where it does not count."""
        token = request.cookies.get(self.name)
        if token is not None:
            self.refuse_cross_site(request)
        return token

    def refuse_cross_site(self, request: Request) -> None:
        """Raise `CrossSiteRequest` unless it only reads, or a page of this very origin has sent it.

        Browsers say so in `Sec-Fetch-Site`, and older ones in `Origin`; other clients have no
        cookie. A page on another subdomain is another's, although SameSite lets it pass.
        """
        if request.method in _SAFE:
            return
        site = request.headers.get("sec-fetch-site")
        if site != "same-origin" if site is not None else not self._is_own(request):
            raise CrossSiteRequest

    def _is_own(self, request: Request) -> bool:
        origin = request.headers.get("origin")
        here = None if self.is_secure else f"http://{request.headers.get('host')}"
        return origin is not None and origin in {self.origin, here}

    def keep(self, response: Response, token: TokenPublic) -> None:
        """Have the browser keep the token for as long as it works."""
        age = int((token.expires_at - datetime.now(UTC)).total_seconds())
        self._set(response, token.access_token, max(age, 0))

    def remove(self, response: Response) -> None:
        """Have the browser forget the token."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, age: int) -> None:
        response.set_cookie(
            self.name,
            value,
            max_age=age,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )
