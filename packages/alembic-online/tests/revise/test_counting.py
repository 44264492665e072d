"""What cannot be counted while a revision is made is said, and why."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate


def test_values_that_do_not_fit_another_type_are_told(project: Project) -> None:
    column = "value: int | None = Field(5, sa_type=sa.{})"
    migrate(project, f"{USER}    {column.format('BigInteger')}\n")
    project.execute('UPDATE "user" SET value = 5000000000 WHERE id = 1')
    project.write_models(f"{USER}    {column.format('Integer')}\n")
    with pytest.raises(CommandError, match=r"and STOPS, since values do not fit: integer out of"):
        project.revise()
    project.revise("rewrite=user.value")
    with pytest.raises(CommandError, match=r"Existing rows of user\.value do not allow this"):
        project.upgrade()
    assert project.rows('SELECT value FROM "user" ORDER BY id') == [(5000000000,), (5,)]
    project.execute('UPDATE "user" SET value = 6')
    project.upgrade()
    project.check()
    project.downgrade()
    assert project.rows('SELECT value FROM "user"') == [(6,)] * 2


def test_count_that_fails_is_told(project: Project) -> None:
    column = "data: dict | None = Field(None, sa_type=sa.JSON{})"
    migrate(project, f"{USER}    {column.format('')}\n")
    project.write_models(f"{USER}    {column.format(', unique=True')}\n")
    project.revise()
    assert "(NOT COUNTED: values more than once, could not identify an" in project.output
