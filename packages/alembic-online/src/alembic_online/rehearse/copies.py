"""A copy of a database, made without writing to the original, and removed whatever happens."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from ipaddress import ip_address
from uuid import uuid4

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import literal, quote, reason, sqlstate
from alembic_online.rehearse.dump import copy_by_dump

_IN_USE = "55006"  # object_in_use: somebody is connected to the template
_MAINTENANCE = "postgres"
# The session that made a copy bears its name; it ends with its process, however that is killed.
_LEFT_BEHIND = sa.text(r"""
    SELECT datname FROM pg_database AS d
    WHERE datname ~ '^rehearsal_[0-9a-f]{32}$' AND pg_has_role(datdba, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = d.datname)
""")
_OTHERS = sa.text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
""")


class CopyRemains(CommandError):
    """A copy could not be removed; the message says where it is."""


def usable_url(text: str) -> sa.URL:
    """Read a URL of PostgreSQL, with a driver that is installed and waits for its answers."""
    try:
        url = sa.make_url(re.sub("^postgres:", "postgresql:", text))
    except sa.exc.ArgumentError:
        raise CommandError("malformed URL: postgresql://user:password@host/database") from None
    if url.get_backend_name() != "postgresql" or not url.database:
        raise CommandError("a rehearsal needs the URL of a PostgreSQL database")
    for driver in ("psycopg", "psycopg2"):
        if find_spec(driver):
            return url.set(drivername=f"postgresql+{driver}")
    raise CommandError("a rehearsal needs psycopg or psycopg2")


@contextmanager
def copied(source: sa.URL, server: sa.URL | None) -> Iterator[sa.URL]:
    """Yield the URL of a copy, on `server` or beside a local original."""
    if server is None and not is_local(source):
        raise CommandError(
            "the database is on another machine: say by --server where its copy may be made"
        )
    name = f"rehearsal_{uuid4().hex}"
    copy = (server or source).set(database=name)
    with _maintaining(copy, name) as connection:
        _remove_left_behind(connection)
        try:
            if server or not _by_template(source, connection, name):
                _by_dump(source, connection, copy)
            yield copy
        finally:
            _remove(copy)


@contextmanager
def _maintaining(copy: sa.URL, name: str) -> Iterator[sa.Connection]:
    """Keep a session with the copy's name as long as it is wanted."""
    engine = sa.create_engine(
        copy.set(database=_MAINTENANCE), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET application_name = {literal(name)}")
        yield connection


def _remove_left_behind(connection: sa.Connection) -> None:
    for name in connection.scalars(_LEFT_BEHIND).all():
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        print(f"Removed {name}, which a rehearsal that was killed had left")  # noqa: T201


def _by_template(source: sa.URL, connection: sa.Connection, name: str) -> bool:
    """Have the server copy the files; it cannot while anybody is connected to them."""
    if _is_busy(source):
        return False
    template = quote(connection.dialect, source.database)
    try:
        _create(connection, name, f"TEMPLATE {template}")
    except DBAPIError as error:
        if sqlstate(error) == _IN_USE:
            return False
        raise
    return True


def _by_dump(source: sa.URL, connection: sa.Connection, copy: sa.URL) -> None:
    engine = sa.create_engine(source, poolclass=sa.NullPool)
    with engine.connect() as original:
        encoding = original.scalar(sa.text("SHOW server_encoding"))
    options = f"TEMPLATE template0 ENCODING {literal(str(encoding))}"
    _create(connection, str(copy.database), options)
    copy_by_dump(source, copy)
    with sa.create_engine(copy, poolclass=sa.NullPool).begin() as restored:
        restored.exec_driver_sql("ANALYZE")


def _create(connection: sa.Connection, name: str, options: str) -> None:
    try:
        connection.exec_driver_sql(f"CREATE DATABASE {name} {options}".replace("%", "%%"))
    except DBAPIError as error:
        if sqlstate(error) == _IN_USE:
            raise
        raise CommandError(f"the copy cannot be made: {reason(error)}") from error


def _is_busy(source: sa.URL) -> bool:
    with sa.create_engine(source, poolclass=sa.NullPool).connect() as connection:
        return bool(connection.scalar(_OTHERS))


def _remove(copy: sa.URL) -> None:
    """Drop the copy by a connection of its own, undisturbed by a second Ctrl-C."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _maintaining(copy, "") as connection:
            connection.exec_driver_sql("SET statement_timeout = '60s'")
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {copy.database} WITH (FORCE)")
    except DBAPIError as error:
        where = copy.set(drivername="postgresql").render_as_string()
        raise CopyRemains(
            f"the copy {where} could not be removed ({reason(error)}); it is yours to remove:"
            f" DROP DATABASE {copy.database}"
        ) from error
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def is_local(url: sa.URL) -> bool:
    """Tell whether a server is on this machine, by its address alone."""
    hosts = [url.host, url.query.get("host"), url.query.get("hostaddr")]
    return all(isinstance(host, str) and _is_here(host) for host in hosts if host) and any(hosts)


def _is_here(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
