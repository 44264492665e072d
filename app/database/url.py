"""Where the database is: DATABASE_URL as it was given, or the embedded PostgreSQL."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlencode

from psycopg.pq import Conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.database.embedded import running_server

DEFAULT_SCHEMA: Final = "public"
_EMBEDDED_FOLDER = Path(__file__).parents[2] / ".postgres"
_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_HOST: Final = re.compile(r"(?:\[([^\[\]]*)\]|([^:,\[\]]*))(?::(\d*))?")
_FALLING_BACK = {"allow", "prefer"}  # to plain text; the second is libpq's default


class DatabaseURLError(Exception):
    """The URL cannot be used; the message never repeats it, since it may hold a password."""


@contextmanager
def database_url(
    given: str | None, place: str = "DATABASE_URL", schema: str = DEFAULT_SCHEMA
) -> Iterator[URL]:
    """Yield the URL of the database: the given one, or that of the embedded PostgreSQL.

    `place` is where the given one stands, for whoever has to mend it. In a `schema` of our own,
    names lead there and nowhere else, for whoever connects by the URL.
    """
    if given is not None:
        yield _choose_schema(_parse_url(given, place), schema)
        return
    with running_server(_EMBEDDED_FOLDER) as url:
        yield _choose_schema(url.set(drivername=_DRIVERS["postgresql"]), schema)


def _choose_schema(url: URL, schema: str) -> URL:
    given = str(url.query.get("options", ""))
    wanted = f"-csearch_path={schema}"
    is_settled = schema == DEFAULT_SCHEMA or wanted in given or not url.drivername.startswith("p")
    return url if is_settled else url.update_query_dict({"options": f"{given} {wanted}".strip()})


def _parse_url(given: str, place: str) -> URL:
    if re.split("[/?]", given.partition("://")[2], maxsplit=1)[0].count("@") > 1:
        raise DatabaseURLError(f"{place} has a second @ before the host: in a password, write %40")
    try:
        url = _gather_hosts(make_url(_move_hosts(given)))
    except (ArgumentError, ValueError):
        raise DatabaseURLError(
            f"{place} is malformed; it looks like postgresql://user:password@host:5432/database"
        ) from None
    kind = {"postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if kind not in _DRIVERS:
        raise DatabaseURLError(f"{place} is of the kind {kind!r}; postgresql is supported")
    url = url.set(drivername=_DRIVERS[kind])
    return _require_tls(url, place) if kind == "postgresql" else url


def _move_hosts(given: str) -> str:
    """Write what only libpq reads, several hosts or a folder, as the query that others read too."""
    scheme, mark, rest = given.partition("://")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not {",", "%"} & {*hosts} or not all(found):
        return given
    rest = rest.removeprefix(authority)
    query = _join_hosts([(unquote(each[1] or each[2]), each[3] or "") for each in found if each])
    return f"{scheme}{mark}{user}{at}{rest}{'&' if '?' in rest else '?'}{urlencode(query)}"


def _gather_hosts(url: URL) -> URL:
    """Write SQLAlchemy's `host=a:5432&host=b:5433` as libpq does, `host=a,b&port=5432,5433`."""
    hosts = [_split_port(host) for host in _find_values(url, "host")]
    if ports := _find_values(url, "port"):
        if any(port for _, port in hosts) or len(ports) not in {1, len(hosts) or 1}:
            raise ValueError("hosts and ports do not match")
        ports = ports * len(hosts) if len(ports) == 1 else ports  # libpq: it is for all of them
        hosts = [(host, port) for (host, _), port in zip(hosts, ports, strict=True)]
    return url.update_query_dict(_join_hosts(hosts)) if hosts else url


def _find_values(url: URL, name: str) -> list[str]:
    given = url.query.get(name, ())
    return (given if isinstance(given, str) else ",".join(given)).split(",") if given else []


def _split_port(host: str) -> tuple[str, str]:
    found = None if host.startswith("/") else _HOST.fullmatch(host)
    return (found[1] or found[2], found[3] or "") if found else (host, "")


def _join_hosts(hosts: list[tuple[str, str]]) -> dict[str, str]:
    names, ports = (",".join(each) for each in zip(*hosts, strict=True))
    return {"host": names, "port": ports} if ports.strip(",") else {"host": names}


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
