"""What is committed is on record, whatever comes after it; and there is a way out of each end."""

import re

import pytest
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project

FAILS = 'op.execute("SELECT 1 / 0")'
CONCURRENT = [
    ('op.create_index("ix_pet_age", "pet", ["age"])', "CreateIndex pet ix_pet_age"),
    (
        'op.create_unique_constraint("uq", "account", ["email"])',
        "CreateUniqueConstraint account uq",
    ),
    ('op.create_check_constraint("positive", "pet", "age >= 0")', "CreateCheckConstraint pet pos"),
    ('op.alter_column("account", "email", nullable=False)', "AlterColumn account email"),
    ('op.add_column("pet", sa.Column("x", sa.Integer, index=True))', "AddColumn pet x"),
    ('op.execute("CREATE INDEX CONCURRENTLY i ON pet (age)")', "ExecuteSQL"),
]


@pytest.mark.parametrize(("step", "name"), CONCURRENT)
def test_committed_step_before_a_failing_one_is_on_record(
    project: Project, step: str, name: str
) -> None:
    revision = project.write_revision(f"{step}\n{FAILS}", "pass")
    file = project.versions / f"{revision}.py"
    for _ in range(2):
        with pytest.raises(CommandError, match=rf"1 earlier step\(s\) .*\({name}"):
            project.upgrade()
    file.write_text(file.read_text().replace(FAILS, "op.execute('UPDATE pet SET age = 3')"))
    project.upgrade()
    assert project.scalar("SELECT min(age) FROM pet") == 3
    with project.connect() as connection:
        assert find_unfinished(connection) == []


@pytest.mark.parametrize("downgrade", [False, True])
def test_file_deleted_after_half_a_run_leads_to_stamp(project: Project, *, downgrade: bool) -> None:
    body = f"{CONCURRENT[0][0]}\n{FAILS}"
    revision = project.write_revision(*(("pass", body) if downgrade else (body, "pass")))
    if downgrade:
        project.upgrade()
    with pytest.raises(CommandError, match="1 earlier step"):
        project.alembic(*(("downgrade", "-1") if downgrade else ("upgrade", "head")))
    (project.versions / f"{revision}.py").unlink()
    with pytest.raises(CommandError) as refused:
        project.upgrade()
    message = str(refused.value)
    assert f"of revision {revision} is half done, and its file is not here" in message
    assert "CreateIndex pet ix_pet_age" in message
    command = re.search(r"`alembic (stamp .*)`", message)
    assert command is not None
    project.alembic(*command[1].replace("REVISION", "hand0000").split())
    project.execute("DROP INDEX ix_pet_age")
    project.write_revision(CONCURRENT[0][0])
    project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
