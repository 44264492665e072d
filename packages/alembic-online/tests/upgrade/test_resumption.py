"""Upgrades that were interrupted, and what the next does with them."""

from threading import Thread

import pytest
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project
from upgrade.directives import ADD_COLUMN, DROP_INDEX, INDEX
from upgrade.sessions import is_waiting, log_of, upgrade_in_index_build, wait_until


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
