"""What `run()` does around the directives, with real processes where other processes matter."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess as Process
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from alembic_online import find_unfinished
from alembic_online.upgrade import patience, waiting
from project import Project
from upgrade.conftest import DROP_TABLES, ENV, TABLES
from upgrade.processes import psql, start_alembic

ADD_COLUMN = 'op.add_column("account", sa.Column("plan", sa.String(9), server_default="free"))'
INDEX = 'op.create_index("ix_pet_age", "pet", ["age"])'
ROUNDS = int(os.environ.get("UPGRADE_ROUNDS", "1"))  # 20 for a proof
DROP_INDEX = 'op.drop_index("ix_pet_age", "pet")'


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@contextmanager
def transaction(project: Project, statement: str) -> Iterator[sa.Connection]:
    """A session that has done something and does not end."""
    engine = sa.create_engine(project.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
        yield connection


def wait_until(condition: Callable[[], object]) -> None:
    """Poll for at most ten seconds."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


def is_waiting(project: Project, pattern: str) -> Callable[[], object]:
    """Return a condition: a session waits for a lock while it executes this."""
    sql = """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :pattern
             AND datname = current_database()"""
    return lambda: project.scalar(sql, pattern=pattern)


@contextmanager
def upgrade_in_index_build(project: Project) -> Iterator[tuple[sa.Connection, Process]]:
    """A process that upgrades, and the session for whose end its CREATE INDEX waits."""
    with transaction(project, "INSERT INTO pet VALUES (0, 1, 1)") as other:
        process = start(project)
        wait_until(is_waiting(project, "CREATE INDEX CONCURRENTLY%"))
        yield other, process


def start(project: Project) -> Process:
    return start_alembic(project.ini, "upgrade", "head", output=log_of(project))


def log_of(project: Project) -> Path:
    return project.folder / "log"


# --- one at a time


@pytest.mark.parametrize("populated", [False, True])
@pytest.mark.parametrize("_round", range(ROUNDS))
def test_six_upgrades_at_once_all_succeed(
    new_project: Project, tmp_path: Path, *, populated: bool, _round: int
) -> None:
    new_project.write_revision(TABLES, DROP_TABLES)
    if populated:
        new_project.upgrade()
    new_project.write_revision(f"{ADD_COLUMN}\n{INDEX}", DROP_INDEX)
    logs = [tmp_path / f"{number}.log" for number in range(6)]
    processes = [start_alembic(new_project.ini, "upgrade", "head", output=log) for log in logs]
    for process in processes:
        process.join()
    texts = [log.read_text() for log in logs]
    assert [process.exitcode for process in processes] == [0] * 6, texts
    assert sum("Running upgrade hand0000 -> hand0001" in text for text in texts) == 1
    assert new_project.rows("SELECT plan, count(*) FROM account GROUP BY 1") == [("free", 1000)]
    with new_project.connect() as connection:
        assert find_unfinished(connection) == []


def test_migrations_of_another_version_table_do_not_wait(project: Project) -> None:
    project.write_revision(INDEX)
    with upgrade_in_index_build(project) as (other, process):
        env = project.folder / "migration" / "env.py"
        env.write_text(ENV.replace("target_metadata", "version_table='v2', target_metadata"))
        project.alembic("stamp", "hand0000")
        other.rollback()
        process.join()
    assert process.exitcode == 0
    assert project.scalar("SELECT version_num FROM v2") == "hand0000"


# --- busy tables


each_driver = pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])


@each_driver
def test_busy_table_is_tried_again_and_the_holder_named(
    project: Project,
    driver: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.use(f"postgresql+{driver}")
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.1)
    project.write_revision(f'{INDEX}\n{ADD_COLUMN}\nop.drop_column("account", "name")')
    with transaction(project, "SELECT count(*) FROM account") as other:
        pid = other.scalar(sa.text("SELECT pg_backend_pid()"))
        upgrade = Thread(target=project.upgrade)
        upgrade.start()
        wait_until(lambda: "trying again" in caplog.text)
        assert project.scalar("SELECT max(email) FROM account") == "9@x.com"  # not held up
        other.rollback()
        upgrade.join()
    assert "account is busy, the lock was not free within 300ms" in caplog.text
    assert f"pid {pid}, idle in transaction, in a transaction for" in caplog.text
    assert project.scalar("SELECT max(plan) FROM account") == "free"


def test_busy_table_ends_the_upgrade_when_patience_is_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(patience, "GIVE_UP_SECONDS", 0.5)
    project.write_revision(ADD_COLUMN)
    with (
        transaction(project, "SELECT 1 FROM account"),
        pytest.raises(CommandError, match=r"Gave up after .*account is busy.*\n +pid \d+, idle"),
    ):
        project.upgrade()
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"
    project.upgrade()


def test_relative_target_stays_the_same_when_a_try_fails(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.1)
    project.write_revision('op.add_column("account", sa.Column("one", sa.Integer))')
    project.write_revision('op.add_column("pet", sa.Column("two", sa.Integer))')
    project.write_revision('op.add_column("account", sa.Column("three", sa.Integer))')
    with transaction(project, "SELECT 1 FROM pet") as other:
        upgrade = Thread(target=project.upgrade, args=["+2"])
        upgrade.start()
        wait_until(lambda: "trying again" in caplog.text)
        other.rollback()
        upgrade.join()
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0002"


@each_driver
def test_long_step_is_reported_with_what_it_waits_for(
    project: Project,
    driver: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.use(f"postgresql+{driver}")
    monkeypatch.setattr(waiting, "REPORT_SECONDS", 0.1)
    project.write_revision(INDEX)
    with transaction(project, "INSERT INTO pet VALUES (0, 1, 1)") as other:
        upgrade = Thread(target=project.upgrade)
        upgrade.start()
        wait_until(lambda: "held up by" in caplog.text)
        other.rollback()
        upgrade.join()
    assert "creating index ix_pet_age: 0 s, waiting for writers before build" in caplog.text
    held_up = r"idle in transaction, in a transaction for \d+ s: INSERT INTO pet"
    assert re.search(held_up, caplog.text)


# --- interruptions


def test_killed_index_build_is_waited_for_and_kept(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.write_revision(f"{ADD_COLUMN}\n{INDEX}", DROP_INDEX)
    with upgrade_in_index_build(project) as (other, process):
        process.kill()
        process.join()
        second = Thread(target=project.upgrade)
        second.start()
        wait_until(lambda: "another migration is running" in caplog.text)
        other.rollback()
        second.join()
    assert "the upgrade of revision hand0001 was interrupted: finishing it first" in caplog.text
    with project.connect() as connection:
        assert find_unfinished(connection) == []


@pytest.mark.parametrize("ended_by", ["pg_terminate_backend", "pg_cancel_backend"])
def test_ended_session_is_resumed_by_the_next(project: Project, ended_by: str) -> None:
    project.write_revision(f"{ADD_COLUMN}\n{INDEX}")
    with upgrade_in_index_build(project) as (other, process):
        pid = is_waiting(project, "CREATE INDEX CONCURRENTLY%")()
        project.execute(f"SELECT {ended_by}({pid})")
        other.rollback()
        process.join()
    assert process.exitcode
    log = log_of(project).read_text()
    if ended_by == "pg_terminate_backend":
        said = "terminating connection due to administrator command"
        assert f"FAILED: The connection to the database was lost ({said}" in log
        assert "Run the command again" in log
    else:
        assert "1 earlier step(s) of the upgrade of revision hand0001 are in place" in log
    project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    assert project.scalar("SELECT max(plan) FROM account") == "free"


def interrupt(project: Project) -> None:
    """Leave the newest revision after its first step, as duplicates do."""
    project.execute("UPDATE account SET name = 'Ann'")
    project.write_revision(
        f"{ADD_COLUMN}\nop.create_unique_constraint('uq_name', 'account', ['name'])",
        "op.drop_constraint('uq_name', 'account')\nop.drop_column('account', 'plan')",
    )
    with pytest.raises(CommandError, match="duplicated"):
        project.upgrade()


def test_changed_file_of_an_interrupted_revision_is_refused(project: Project) -> None:
    interrupt(project)
    path = project.versions / "hand0001.py"
    path.write_text(path.read_text().replace('"plan"', '"tariff"'))
    with pytest.raises(CommandError, match=r"'AddColumn account plan' is done.*account tariff"):
        project.upgrade()


def test_step_that_is_not_done_can_be_taken_out_of_an_interrupted_revision(
    project: Project,
) -> None:
    interrupt(project)
    path = project.versions / "hand0001.py"
    path.write_text(path.read_text().replace("op.create_unique", "() and op.create_unique"))
    project.upgrade()
    assert project.scalar("SELECT max(plan) FROM account") == "free"


def test_missing_file_of_an_interrupted_revision_is_named(project: Project) -> None:
    interrupt(project)
    (project.versions / "hand0001.py").unlink()
    with pytest.raises(CommandError, match=r"upgrade of revision hand0001 is half done"):
        project.upgrade()


def test_stamp_settles_an_interrupted_revision(project: Project) -> None:
    interrupt(project)
    project.execute("ALTER TABLE account DROP COLUMN plan")
    project.alembic("stamp", "hand0000")
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    project.execute("UPDATE account SET name = id")
    project.upgrade()
    assert project.scalar("SELECT max(plan) FROM account") == "free"


def test_skipped_create_table_still_returns_the_table(project: Project) -> None:
    project.execute("UPDATE account SET name = 'Ann'")
    project.write_revision(
        """
        kind = op.create_table("kind", sa.Column("id", sa.Integer, primary_key=True))
        op.create_unique_constraint("uq_name", "account", ["name"])
        op.bulk_insert(kind, [{"id": 1}, {"id": 2}])
        """
    )
    with pytest.raises(CommandError, match="duplicated"):
        project.upgrade()
    project.execute("UPDATE account SET name = id")
    project.upgrade()
    assert project.scalar("SELECT count(*) FROM kind") == 2


# --- other ways to run


def test_offline_sql_does_what_the_upgrade_does(project: Project) -> None:
    project.write_revision(
        """
        op.add_column("account", sa.Column("plan", sa.String(9), server_default="free"))
        op.create_index("ix_pet_age", "pet", ["age"])
        op.create_unique_constraint("uq_account_email", "account", ["email"])
        op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"])
        op.alter_column("account", "email", nullable=False)
        op.execute("UPDATE account SET name = '100%' WHERE id = 1")
        """
    )
    sql = project.alembic("upgrade", "hand0000:head", "--sql")
    assert "SET lock_timeout = '300ms';" in sql
    assert "CREATE INDEX CONCURRENTLY ix_pet_age" in sql
    for statement in sql.split(";\n"):
        assert "CONCURRENTLY" not in statement or "BEGIN" not in statement
    assert psql(project, sql) == ""
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0001"
    assert project.scalar("SELECT name FROM account WHERE id = 1") == "100%"
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def test_connection_of_a_caller_keeps_its_transaction(
    project: Project, statements: list[str]
) -> None:
    (project.folder / "migration" / "env.py").write_text(
        "from alembic import context\nfrom alembic_online import run\n"
        "run(context, context.config.attributes['connection'])\n"
    )
    project.write_revision(f"{ADD_COLUMN}\n{INDEX}")
    with project.connect() as connection:
        config = Config(str(project.ini), attributes={"connection": connection})
        command.upgrade(config, "head")
        assert connection.scalar(sa.text("SELECT max(plan) FROM account")) == "free"
        connection.rollback()
    assert not [sql for sql in statements if "CONCURRENTLY" in sql]
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"


def test_sqlite_goes_through_batches(tmp_path: Path) -> None:
    project = Project(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/app.db"), env=ENV)
    project.write_revision(
        'op.create_table("note", sa.Column("id", sa.Integer, primary_key=True),'
        ' sa.Column("text", sa.String(10)))\nop.execute("INSERT INTO note VALUES (1, \'a\')")'
    )
    project.write_revision(
        """
        with op.batch_alter_table("note") as batch:
            batch.create_unique_constraint("uq_note_text", ["text"])
            batch.alter_column("text", nullable=False)
            batch.create_index("ix_note_text", ["text"])
        """,
        """
        with op.batch_alter_table("note") as batch:
            batch.drop_index("ix_note_text")
            batch.drop_constraint("uq_note_text")
        """,
    )
    project.upgrade()
    assert project.rows("SELECT * FROM note") == [(1, "a")]
    project.downgrade()
    assert project.rows("SELECT * FROM note") == [(1, "a")]
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def test_commands_that_change_nothing_do_not_wait(project: Project) -> None:
    project.write_revision(INDEX)
    with upgrade_in_index_build(project) as (other, process):
        assert "hand0000" in project.alembic("current")
        other.rollback()
        process.join()
    assert process.exitcode == 0


def test_failing_revision_leaves_nothing(project: Project) -> None:
    project.write_revision(f"{ADD_COLUMN}\nop.execute('SELECT 1/0')")
    with pytest.raises(CommandError, match="do not allow this change: division by zero"):
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    assert project.rows("SELECT * FROM account WHERE id = 1") == [(1, "1@x.com", "Ann")]
