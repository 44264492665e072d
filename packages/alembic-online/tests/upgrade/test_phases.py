"""`-x phase=expand` does what the running version bears, and leaves what breaks it for later."""

import pytest
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from alembic_online import phase_of, sufficient_revisions
from project import Project

ADD = 'op.add_column("pet", sa.Column({!r}, sa.Integer))'
DROP = 'op.drop_column("pet", {!r})'


def scripts(project: Project) -> ScriptDirectory:
    return ScriptDirectory(str(project.folder / "migration"))


def say(project: Project, revision: str, line: str) -> None:
    """Add a line to the head of a revision's file."""
    file = project.versions / f"{revision}.py"
    file.write_text(file.read_text().replace("\n\n\n", f"\n{line}\n\n\n", 1))


def current(project: Project) -> str:
    return str(project.scalar("SELECT version_num FROM alembic_version"))


def test_expansion_stops_before_the_first_contraction_and_says_what_is_left(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    first = project.write_revision(ADD.format("weight"), DROP.format("weight"))
    second = project.write_revision(DROP.format("age"), ADD.format("age"))
    third = project.write_revision(ADD.format("size"), DROP.format("size"))
    for _ in range(2):
        project.alembic("-x", "phase=expand", "upgrade", "head")
        assert current(project) == first
    assert f"stopped before {second}, which breaks the version that runs now" in caplog.text
    assert f"contract  {second}" in caplog.text
    assert f"expand    {third}" in caplog.text
    project.upgrade()
    assert current(project) == third
    caplog.clear()
    project.alembic("-x", "phase=expand", "upgrade", "head")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("body", "phase"),
    [
        (ADD.format("size"), "expand"),
        ('op.alter_column("pet", "age", nullable=True)', "expand"),
        ('op.execute("SELECT 1")\n# BREAKING: pet.age means months from now on.', "contract"),
        ('op.execute("SELECT 1")\n# DESTRUCTIVE: pet.age: is emptied.', "contract"),
        (DROP.format("age"), "contract"),
        ('with op.batch_alter_table("pet") as batch:\n    batch.drop_column("age")', "contract"),
        ('op.drop_table("pet")', "contract"),
        ('op.rename_table("pet", "animal")', "contract"),
        ('op.alter_column("pet", "age", new_column_name="years")', "contract"),
    ],
)
def test_phase_is_derived_from_what_the_upgrade_takes_away(
    project: Project, body: str, phase: str
) -> None:
    revision = project.write_revision(body, DROP.format("nothing"))
    found = scripts(project).get_revision(revision)
    assert phase_of(found) == phase
    other = "expand" if phase == "contract" else "contract"
    say(project, revision, f"phase = {other!r}")
    assert phase_of(scripts(project).get_revision(revision)) == other


def test_newest_version_needs_no_contraction(project: Project) -> None:
    project.write_revision(DROP.format("age"))
    needed = project.write_revision(ADD.format("size"))
    one = project.write_revision(DROP.format("owner_id"))
    both = project.write_revision(DROP.format("size"))
    assert sufficient_revisions(scripts(project)) == {needed, one, both}


def test_wrong_phases_are_refused(project: Project) -> None:
    revision = project.write_revision(ADD.format("size"), DROP.format("size"))
    with pytest.raises(CommandError, match="only -x phase=expand is known"):
        project.alembic("-x", "phase=contract", "upgrade", "head")
    project.upgrade()
    with pytest.raises(CommandError, match="a downgrade has no phases"):
        project.alembic("-x", "phase=expand", "downgrade", "-1")
    say(project, revision, 'phase = "shrink"')
    with pytest.raises(CommandError, match=rf"{revision}.py: phase = 'shrink', but a phase is"):
        phase_of(scripts(project).get_revision(revision))


def test_sql_ends_there_too(project: Project) -> None:
    project.write_revision(ADD.format("size"))
    last = project.write_revision(DROP.format("age"))
    sql = project.alembic("-x", "phase=expand", "upgrade", "hand0000:head", "--sql")
    assert "ADD COLUMN size" in sql
    assert "DROP COLUMN" not in sql
    assert "DROP COLUMN age;" in project.alembic("upgrade", f"hand0000:{last}", "--sql")
