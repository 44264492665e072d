"""Where the database is: DATABASE_URL as it was given, or the embedded PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from psycopg.pq import Conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.database.embedded import running_server

_EMBEDDED_FOLDER = Path(__file__).parents[2] / ".postgres"
_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_FALLING_BACK = {"allow", "prefer"}  # to plain text; the second is libpq's default


class DatabaseURLError(Exception):
    """The URL cannot be used; the message never repeats it, since it may hold a password."""


@contextmanager
def database_url(given: str | None, place: str = "DATABASE_URL") -> Iterator[URL]:
    """Yield the URL of the database: the given one, or that of the embedded PostgreSQL.

    `place` is where the given one stands, for whoever has to mend it.
    """
    if given is not None:
        yield _parse_url(given, place)
        return
    with running_server(_EMBEDDED_FOLDER) as url:
        yield url.set(drivername=_DRIVERS["postgresql"])


def _parse_url(given: str, place: str) -> URL:
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise DatabaseURLError(
            f"{place} is malformed; it looks like postgresql://user:password@host:5432/database"
        ) from None
    kind = {"postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if kind not in _DRIVERS:
        raise DatabaseURLError(f"{place} is of the kind {kind!r}; postgresql is supported")
    url = url.set(drivername=_DRIVERS[kind])
    return _require_tls(url, place) if kind == "postgresql" else url


def _require_tls(url: URL, place: str) -> URL:
    """Have libpq verify a server that is reached over a network, unless the URL says otherwise.

    libpq's own default, `prefer`, falls back to plain text as soon as somebody in between wants
    it to (PostgreSQL manual, 32.19.3).
    """
    mode = url.query.get("sslmode") or _find_default("sslmode")
    if "service" in url.query or mode not in _FALLING_BACK or all(map(_is_local, _find_hosts(url))):
        return url
    if "sslmode" in url.query:
        raise DatabaseURLError(
            f"{place} has sslmode={mode}, which protects nothing: say verify-full, or disable"
        )
    return url.update_query_dict({"sslmode": "verify-full"})


def _find_default(name: str) -> str:
    """Return what libpq takes where the URL says nothing: from the environment, or its own."""
    values = {option.keyword: option.val for option in Conninfo.get_defaults()}
    return (values[name.encode()] or b"").decode()


def _find_hosts(url: URL) -> list[str]:
    given = [url.host or "", url.query.get("host", ""), url.query.get("hostaddr", "")]
    names = ",".join(each if isinstance(each, str) else ",".join(each) for each in given)
    if not names.strip(","):
        names = f"{_find_default('host')},{_find_default('hostaddr')}"
    return [name for name in names.split(",") if name]


def _is_local(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":  # a UNIX socket, or this machine's name
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def libpq_uri(url: URL) -> str:
    """Return the URL as psql and libpq read it, for whom `+` in a query is no space."""
    plain = url.set(drivername=url.get_backend_name())
    text = plain.render_as_string(hide_password=False)
    base, mark, query = text.partition("?")
    return base.replace("+", "%2B").replace(" ", "%20") + mark + query.replace("+", "%20")


def require_postgresql(url: URL) -> None:
    """Raise `DatabaseURLError` for a database that only Alembic can use."""
    if url.get_backend_name() != "postgresql":
        raise DatabaseURLError("the service needs PostgreSQL; SQLite serves only Alembic")
