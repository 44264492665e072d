import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, NullPool, create_engine, inspect, make_url
from sqlalchemy.exc import OperationalError

from app.database.tables import load_models
from tests.databases import alembic_config
from tests.servers import ROOT


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database: one of each kind that the revisions are for."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "app.db"))
    empty: URL = request.getfixturevalue("empty_database")
    return empty


def tables(url: URL) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


def test_revisions_make_what_the_models_say_and_can_be_undone(url: URL) -> None:
    config = alembic_config(url)
    for _ in range(2):
        command.upgrade(config, "head")
        command.check(config)
        assert tables(url) == {"alembic_version", *load_models().tables}
        command.downgrade(config, "base")
        assert tables(url) == {"alembic_version"}


def test_revisions_have_one_head() -> None:
    assert len(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads()) == 1


def test_env_says_how_to_order_two_branches(empty_database: URL, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(f"revision = {name!r}\ndown_revision = None\n")
    config = alembic_config(empty_database)
    config.set_main_option("version_locations", str(tmp_path))
    config.set_main_option("path_separator", "newline")
    with pytest.raises(CommandError, match="both come last: `make rebase-revision`"):
        command.upgrade(config, "head")


def test_offline_mode_writes_sql(empty_database: URL, capsys: pytest.CaptureFixture[str]) -> None:
    command.upgrade(alembic_config(empty_database), "head", sql=True)
    assert 'CREATE TABLE "user"' in capsys.readouterr().out
    assert tables(empty_database) == set()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://postgres@127.0.0.1:1/app", "the database cannot be used: connection"),
        ("mysql://localhost/app", "sqlalchemy.url is of the kind 'mysql'"),
    ],
)
def test_env_says_in_a_line_that_the_database_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        command.current(alembic_config(make_url(url)))


def test_env_says_that_of_an_unusable_database_alone(empty_database: URL, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = 'one'\ndown_revision = None\n"
        "def upgrade():\n    op.create_table('t', sa.Column('n', sa.Integer))\n"
        "    op.execute('ALTER TABLE t ALTER n ADD GENERATED ALWAYS AS IDENTITY')\n"
    )
    config = alembic_config(empty_database)
    config.set_main_option("version_locations", str(tmp_path))
    config.set_main_option("path_separator", "newline")
    with pytest.raises(OperationalError, match="must be declared NOT NULL"):
        command.upgrade(config, "head")


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ('CREATE TABLE "user" (id int)', '"user" already exists: it is there already'),
        ("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "public: this role may not do that"),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC", "this role may use no schema"),
    ],
)
def test_env_says_in_a_sentence_what_the_database_refuses(
    empty_database: URL, before: str, message: str
) -> None:
    role = f"test_{uuid4().hex}"
    admin = create_engine(empty_database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql("GRANT ALL ON SCHEMA public TO PUBLIC")
        connection.exec_driver_sql(before)
        with pytest.raises(CommandError, match=message):
            command.upgrade(alembic_config(empty_database.set(username=role)), "head")
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def reset(url: URL, answer: str, **environment: str) -> str:
    given = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "migration" / "reset.py")],
        cwd=ROOT,
        env=os.environ | given | environment,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_reset_makes_the_database_anew_once_it_is_named(empty_database: URL) -> None:
    with create_engine(empty_database, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE junk (id int)")

    remote = "postgresql://db.example.com/app"
    assert "on another machine" in reset(empty_database, "app\n", DATABASE_URL=remote)
    assert "nothing is done" in reset(empty_database, "y\n")
    assert "nothing is done" in reset(empty_database, "")
    assert tables(empty_database) == {"junk"}
    said = reset(empty_database, f"{empty_database.database}\n")
    assert f"Tables of {empty_database.username}: junk" in said
    assert tables(empty_database) == {"alembic_version", *load_models().tables}, said


def test_reset_keeps_a_database_that_it_could_not_make_again(empty_database: URL) -> None:
    role, name = f"test_{uuid4().hex}", empty_database.database
    admin = create_engine(empty_database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {role}")
        said = reset(empty_database.set(username=role), f"{name}\n")
        assert f"{role} may not make databases: ALTER ROLE {role} CREATEDB" in said
        assert connection.exec_driver_sql("SELECT current_database()").scalar() == name
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_env_imports_nothing_of_the_web(empty_database: URL) -> None:
    """Each of these would add to what every single command takes to start."""
    code = (
        "import sys\nfrom alembic.config import main\nmain(argv=['current'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": empty_database.render_as_string(hide_password=False)},
        capture_output=True,
        text=True,
        check=True,
    )
    web = {"fastapi", "starlette", "uvicorn", "jinja2", "prometheus_client", "structlog", "typer"}
    assert web & set(done.stdout.split()) == set()
    assert "alembic" in done.stdout
