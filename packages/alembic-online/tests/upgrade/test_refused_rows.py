"""Rows that do not allow a change."""

import pytest
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project
from upgrade.directives import (
    CHECK,
    CONSTRAINTS,
    FOREIGN_KEY,
    NOT_NULL,
    UNIQUE,
)


def assert_refused(project: Project, revision: str, match: str) -> CommandError:
    """Upgrade to a revision that the rows do not allow; all but the rows is as it was."""
    before = project.rows(CONSTRAINTS)
    project.write_revision(revision)
    with pytest.raises(CommandError, match=match) as caught:
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    assert project.rows(CONSTRAINTS) == before
    assert project.scalar("SELECT count(*) FROM pg_class WHERE relname LIKE 'uq_%'") == 0
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"
    return caught.value


def test_duplicates_are_refused_with_an_example(project: Project) -> None:
    project.execute("UPDATE account SET email = 'a@x.com' WHERE id IN (7, 8)")
    assert_refused(project, UNIQUE, r"Key \(email\)=\(a@x.com\) is duplicated")
    project.execute("UPDATE account SET email = 'b@x.com' WHERE id = 8")
    project.upgrade()
    assert len(project.rows(CONSTRAINTS)) == 1


def test_nulls_are_refused(project: Project) -> None:
    project.execute("UPDATE account SET email = NULL WHERE id = 7")
    assert_refused(project, NOT_NULL, r"account.email has rows with NULL")
    project.execute("INSERT INTO account VALUES (1001, NULL)")  # as before
    project.execute("UPDATE account SET email = id WHERE email IS NULL")
    project.upgrade()


def test_orphans_are_refused_with_an_example(project: Project) -> None:
    project.execute("UPDATE pet SET owner_id = 4711 WHERE id = 3")
    assert_refused(project, FOREIGN_KEY, r"Key \(owner_id\)=\(4711\) is not present")
    project.execute("UPDATE pet SET owner_id = 4712 WHERE id = 3")  # as before


def test_rows_that_break_a_check_are_refused(project: Project) -> None:
    project.execute("UPDATE pet SET age = -1 WHERE id = 3")
    assert_refused(project, CHECK, '"ck_pet_age" of relation "pet" is violated')
    project.execute("UPDATE pet SET age = -2 WHERE id = 3")  # as before


def test_refusal_says_which_steps_are_in_place(project: Project) -> None:
    project.execute("UPDATE account SET email = NULL WHERE id = 7")
    project.write_revision(f'op.add_column("pet", sa.Column("size", sa.Integer))\n{NOT_NULL}')
    with pytest.raises(CommandError, match=r"1 earlier step.*AddColumn pet size"):
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == ["upgrade of revision hand0001 is half done"]
    project.execute("UPDATE account SET email = id WHERE email IS NULL")
    project.upgrade()
    assert project.scalar("SELECT count(size) FROM pet") == 0
