"""In which language a request is answered: the user's choice, the browser's, or what it accepts."""

from typing import Final

from fastapi.requests import HTTPConnection

from app.web.languages import Language, find_known, negotiate

COOKIES: Final = ("__Host-language", "language")
"""What a visitor has chosen who is not signed in: of HTTPS, and of development."""
_LONGEST: Final = 500  # characters of the header; no browser sends more


def find_language(connection: HTTPConnection) -> Language:
    """Return the language that was asked for; the user's own, once it is known who is calling."""
    chosen = getattr(connection.state, "language", None)
    return chosen or _find_cookie(connection) or negotiate(_read_header(connection))


def _find_cookie(connection: HTTPConnection) -> Language | None:
    values = (connection.cookies.get(name) for name in COOKIES)
    return next(filter(None, map(find_known, values)), None)


def _read_header(connection: HTTPConnection) -> str:
    # It may be sent in parts (RFC 9110, section 5.3).
    return ",".join(connection.headers.getlist("accept-language"))[:_LONGEST]
