import shutil
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from app.database.drift import log_drift
from app.database.url import libpq_uri
from app.settings import PROJECT, Settings
from tests.databases import alembic_config


@pytest.fixture(autouse=True)
def _use_database(empty_database: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("DATABASE_URL", libpq_uri(empty_database))


def test_log_drift_names_what_the_database_has_not(
    empty_database: URL, caplog: pytest.LogCaptureFixture
) -> None:
    command.upgrade(alembic_config(empty_database), "head")
    with psycopg.connect(libpq_uri(empty_database)) as connection:
        connection.execute('ALTER TABLE "user" DROP COLUMN email_verified_at')
        connection.execute('ALTER TABLE "user" ALTER full_name SET NOT NULL')
    log_drift()
    (message,) = caplog.messages[-1:]
    assert "add column user.email_verified_at" in message
    assert "modify nullable user.full_name" in message


def test_log_drift_leaves_alone_what_has_no_model(
    empty_database: URL, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    command.upgrade(alembic_config(empty_database), "head")
    with psycopg.connect(libpq_uri(empty_database)) as connection:
        connection.execute("CREATE TABLE legacy_log (id int UNIQUE, day date)")
        connection.execute("CREATE INDEX ON legacy_log (day)")
        connection.execute('ALTER TABLE "user" ADD legacy_code int')
    caplog.clear()
    log_drift()
    (message,) = [each.getMessage() for each in caplog.records if each.name == "uvicorn.error"]
    assert "(remove column user.legacy_code): write a revision" in message
    ini = tmp_path / "alembic.ini"
    ini.write_text("[alembic]\nunmanaged = user.legacy_*\n")
    caplog.clear()
    log_drift(ini)
    assert "uvicorn.error" not in {each.name for each in caplog.records}


def test_log_drift_names_a_revision_that_was_rebased_below_the_database(
    empty_database: URL,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = alembic_config(empty_database)
    command.upgrade(config, "head")
    shutil.copytree(PROJECT / "migration", tmp_path / "migration")
    config.set_main_option("script_location", str(tmp_path / "migration"))
    (head,) = ScriptDirectory.from_config(config).get_heads()
    theirs = (
        'op.add_column("user", sa.Column("email_verified_at", sa.DateTime(timezone=True)))\n'
        '    op.create_index("ix_user_unverified", "user", ["created_at", "id"],'
        ' postgresql_where=sa.text("email_verified_at IS NULL"))'
    )
    write_revision(tmp_path, "theirs", head, theirs)
    write_revision(tmp_path, "mine", "theirs", "pass")
    with psycopg.connect(libpq_uri(empty_database)) as connection:
        connection.execute('ALTER TABLE "user" DROP COLUMN email_verified_at')
        connection.execute("UPDATE alembic_version SET version_num = 'mine'")
    monkeypatch.setattr("app.database.drift.PROJECT", tmp_path)
    log_drift()
    (message,) = caplog.messages[-1:]
    assert "write a revision" not in message
    way_out = f"alembic downgrade theirs && alembic stamp {head} && alembic upgrade head"
    assert "theirs (theirs) has not run here, as after a rebase" in message
    assert way_out in message
    command.downgrade(config, "theirs")
    command.stamp(config, head)
    command.upgrade(config, "head")
    command.check(config)


def write_revision(folder: Path, name: str, parent: str, upgrade: str) -> None:
    (folder / "migration" / "versions" / f"{name}.py").write_text(
        f'"""{name}"""\nimport sqlalchemy as sa\nfrom alembic import op\n'
        f'revision = "{name}"\ndown_revision = "{parent}"\n'
        f"def upgrade():\n    {upgrade}\ndef downgrade():\n    pass\n"
    )


def test_log_drift_says_that_the_database_is_behind(caplog: pytest.LogCaptureFixture) -> None:
    log_drift()
    assert "Target database is not up to date" in caplog.messages[-1]
