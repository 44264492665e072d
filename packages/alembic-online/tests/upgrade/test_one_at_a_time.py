"""Upgrades wait for each other, and nothing else does."""

import os
from pathlib import Path

import pytest

from alembic_online import find_unfinished
from project import Project
from upgrade.conftest import DROP_TABLES, ENV, TABLES
from upgrade.directives import ADD_COLUMN, DROP_INDEX, INDEX
from upgrade.processes import start_alembic
from upgrade.sessions import upgrade_in_index_build

ROUNDS = int(os.environ.get("UPGRADE_ROUNDS", "1"))  # 20 for a proof


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


def test_commands_that_change_nothing_do_not_wait(project: Project) -> None:
    project.write_revision(INDEX)
    with upgrade_in_index_build(project) as (other, process):
        assert "hand0000" in project.alembic("current")
        other.rollback()
        process.join()
    assert process.exitcode == 0
