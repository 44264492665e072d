"""`make update`: what is new in the template comes into a project that has grown meanwhile."""

import sys
import tempfile
from pathlib import Path

import pytest

from template.record import Record
from template.shape import shape
from tests.template.newer import add_revision, find_revision, improve
from tests.template.projects import Project, clone

FIRST = '''"""Begin

Revision ID: beefbeefbeef
Revises:
Create Date: 2026-11-30 00:00:00+00:00
"""

revision = "beefbeefbeef"
down_revision = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
'''


@pytest.fixture
def newer(template: Project, tmp_path: Path) -> Project:
    """A copy of the template, to make a newer one of."""
    return clone(template, tmp_path / "newer")


@pytest.fixture
def project(newer: Project, tmp_path: Path) -> Project:
    """A project without items that has a folder and a revision of its own."""
    project = clone(newer, tmp_path / "project")
    commit = project.git("rev-parse", "HEAD")
    shape(project.folder, Record(commit, "Acme Notes", "acme-notes", ("items",), 2026))
    project.git("remote", "rename", "origin", "template")
    for path in (project.folder / "migration/versions").glob("*.py"):
        path.unlink()
    project.write("migration/versions/2026-01-01_first.py", FIRST)
    project.commit("Make the template Acme Notes")
    project.write("app/notes/__init__.py", '"""Ours."""\n')
    project.write("README.md", "# Acme Notes\n\nOurs.\n")
    project.commit("Add notes")
    return project


def update(project: Project) -> tuple[int, str]:
    """Do what `make update` does, by the code of the template that is fetched."""
    project.git("fetch", "--quiet", "template")
    with tempfile.TemporaryDirectory() as code:
        project.run("sh", "-c", f"git archive template/main template | tar -x -C '{code}'")
        command = (sys.executable, "-m", "template", "update", "template/main")
        done = project.call(*command, PYTHONPATH=code)
    return done.returncode, done.stdout


@pytest.mark.long
def test_changes_come_into_a_project_that_has_grown(newer: Project, project: Project) -> None:
    last = find_revision(project)[1]
    improve(newer)
    code, said = update(project)
    assert code == 0, said
    assert "stay away:\n    app/items/service.py\n" in said
    assert "2026-12-01_nickname.py" in said
    assert project.git("status", "--porcelain") == ""
    for file, text in (
        ("app/cli/greeting.py", "Newer."),
        ("docs/accounts.md", "Newer."),
        ("docs/architecture.md", 'nickname "optional"'),
        ("requirements.txt", "# newer"),
        ("packages/alembic-online/README.md", "Newer."),
        ("migration/versions/2026-12-01_nickname.py", f'down_revision = "{last}"'),
        ("migration/versions/2026-12-01_nickname.py", f"Revises: {last}\n"),
        (".template.toml", newer.git("rev-parse", "HEAD")),
    ):
        assert text in (project.folder / file).read_text("utf-8")
    assert (project.folder / "README.md").read_text() == "# Acme Notes\n\nOurs.\n"
    assert not (project.folder / "template").exists()
    assert not (project.folder / "app/items").exists()
    project.run("ruff", "check", "--no-cache", "app", "migration")
    assert update(project) == (0, "There is nothing new in the template\n")


@pytest.mark.long
def test_conflicts_are_listed_and_can_be_given_up(newer: Project, project: Project) -> None:
    project.replace("app/cli/greeting.py", "API docs:   ", "Ours:       ")
    (project.folder / "docs/migrations.md").unlink()
    mine = project.commit("Change what the service says")
    newer.replace("app/cli/greeting.py", "API docs:   ", "Theirs:     ")
    newer.replace("docs/migrations.md", "# Migrations\n", "# Migrations\n\nNewer.\n")
    add_revision(newer, "item")
    newer.commit("Improve the template")
    code, said = update(project)
    assert code == 1
    assert "these files are in conflict:\n    app/cli/greeting.py\nResolve" in said
    assert "stay away:\n    docs/migrations.md\n" in said
    assert "tables that are not here; `make revision` writes what is left:\n    2026-12-01" in said
    assert "Ours:       " in (project.folder / "app/cli/greeting.py").read_text()
    project.git("cherry-pick", "--abort")
    project.git("switch", "--quiet", "main")
    assert project.git("rev-parse", "HEAD") == mine
    assert project.git("status", "--porcelain") == ""
    project.write(".template.toml", 'commit = "0123456789"\nname = 1\n')
    start = project.commit("Lose the record")
    code, said = update(project)
    assert code == 1
    assert said.startswith("update: .template.toml cannot be read")
    assert said.count("\n") == 1
    assert project.git("rev-parse", "HEAD") == start
