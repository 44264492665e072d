"""DATABASE_SCHEMA: what is ours has a schema of its own, in a database that others use too."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL, NullPool, create_engine, inspect

from app.database.drift import log_drift
from app.database.tables import load_models
from app.database.url import libpq_uri
from app.settings import Settings
from tests.commands import Run, create_superuser, query, run
from tests.factories import PASSWORD
from tests.servers import ROOT

__all__ = ["run"]  # a fixture

OURS = "accounts"


@pytest.fixture
def shared(create_database: Callable[[], URL], monkeypatch: pytest.MonkeyPatch) -> URL:
    """A database where another application has tables of our names, and Alembic."""
    url = create_database()
    with psycopg.connect(libpq_uri(url)) as connection:
        connection.execute('CREATE TABLE "user" (shoe int); CREATE TABLE item (price int)')
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("DATABASE_URL", libpq_uri(url))
    monkeypatch.setenv("DATABASE_SCHEMA", OURS)
    return url


@pytest.fixture
def config() -> Config:
    config = Config()  # without alembic.ini, which would set up logging anew
    config.set_main_option("script_location", str(ROOT / "migration"))
    return config


def tables(url: URL, schema: str) -> set[str]:
    return {*inspect(create_engine(url, poolclass=NullPool)).get_table_names(schema)}


def test_everything_of_ours_is_in_the_schema(
    shared: URL, config: Config, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    command.upgrade(config, "head")
    command.check(config)
    log_drift(ROOT / "alembic.ini")
    assert "ahead" not in caplog.text
    assert tables(shared, OURS) == {"alembic_version", *load_models().tables}
    assert tables(shared, "public") == {"user", "item", "alembic_version"}
    assert query(shared, "SELECT version_num FROM alembic_version") == [("theirs",)]
    assert (
        run(*create_superuser(), stdin=f"{PASSWORD}\n").output == "ada@example.com is a superuser\n"
    )
    assert "1 users" in run("seed", "--users", "1").output
    assert query(shared, f'SELECT count(*) FROM {OURS}."user"') == [(2,)]
    assert "    user {\n" in run("schema").output


def test_revision_for_the_schema_names_no_schema(
    shared: URL, config: Config, tmp_path: Path
) -> None:
    command.upgrade(config, "head")
    with psycopg.connect(libpq_uri(shared)) as connection:
        connection.execute(f'ALTER TABLE {OURS}."user" DROP full_name CASCADE')
        connection.execute(f"DROP INDEX {OURS}.ix_user_email")
    shutil.copytree(ROOT / "migration", tmp_path / "migration")
    config.set_main_option("script_location", str(tmp_path / "migration"))
    script = command.revision(config, "Mend", autogenerate=True)
    text = Path(script.path).read_text()  # type: ignore[union-attr]  # one was asked for
    assert {"user", "full_name", "ix_user_email"} <= {*re.findall(r"\w+", text)}
    assert OURS not in text
    command.upgrade(config, "head")
    command.check(config)


@pytest.fixture
def roles(shared: URL) -> Iterator[dict[str, str]]:
    names = {role: f"{role}_{uuid4().hex[:8]}" for role in ("app_owner", "app_service")}
    yield names
    with psycopg.connect(libpq_uri(shared), autocommit=True) as connection:
        for role in names.values():
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_roles_find_the_schema_behind_a_pooler(
    shared: URL, config: Config, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (ROOT / "migration" / "roles.sql").read_text()
    for role, name in roles.items():
        script = script.replace(role, name)
    with psycopg.connect(libpq_uri(shared), autocommit=True) as connection:
        connection.execute(f"SET roles.schema = '{OURS}'")
        for _ in range(2):
            connection.execute(script.encode())
        monkeypatch.setenv("DATABASE_URL", libpq_uri(shared.set(username=roles["app_owner"])))
        command.upgrade(config, "head")
        connection.execute(script.encode())
    service = shared.set(username=roles["app_service"])
    with psycopg.connect(libpq_uri(service), autocommit=True) as connection:  # without options
        assert connection.execute('SELECT email FROM "user"').fetchall() == []
        for statement in (b"UPDATE alembic_version SET version_num = 'x'", b"TABLE public.item"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_service_does_not_start_in_another_schema(shared: URL, config: Config, run: Run) -> None:
    command.upgrade(config, "head")
    # As a pooler that has other ideas.
    options = {"options": f"-csearch_path={OURS} -csearch_path=public"}
    elsewhere = libpq_uri(shared.update_query_dict(options))
    code = run("run", "--port", "0", "--no-migrate", DATABASE_URL=elsewhere).code
    assert str(code).startswith("app: Statements lead to the schema public, and DATABASE_SCHEMA is")
    code = run("run", "--port", "0", DATABASE_SCHEMA="pg_mine").code
    assert str(code).startswith("app: DATABASE_SCHEMA: a schema is named by lower-case letters")
