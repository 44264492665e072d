"""Tables that others hold: what is tried again, given up, and said."""

import re
from threading import Thread

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from alembic_online.upgrade import patience, waiting
from project import Project
from upgrade.directives import ADD_COLUMN, INDEX
from upgrade.sessions import transaction, wait_until

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
