"""`make update`: what is new in the template comes into a project that has grown meanwhile."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from template.record import Record
from template.shape import shape
from tests.template.projects import Project, clone

MODEL = '''"""The `note` table."""

import uuid

from sqlmodel import Field, SQLModel


class Note(SQLModel, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    text: str = Field(max_length=255)
'''
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
REVISION = '''"""Add a column of the template

Revision ID: feedfeedfeed
Revises: {parent}
Create Date: 2026-12-01 00:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "feedfeedfeed"
down_revision = "{parent}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("{table}", sa.Column("nickname", sa.String(length=20), nullable=True))


def downgrade() -> None:
    # DESTRUCTIVE: {table}.nickname goes.
    op.drop_column("{table}", "nickname")
'''


@pytest.fixture
def newer(template: Project, tmp_path: Path) -> Project:
    """A copy of the template, to make a newer one of."""
    return clone(template, tmp_path / "newer")


@pytest.fixture
def project(newer: Project, tmp_path: Path) -> Project:
    """A project without items that has a domain and a revision of its own."""
    project = clone(newer, tmp_path / "project")
    commit = project.git("rev-parse", "HEAD")
    shape(project.folder, Record(commit, "Acme Notes", "acme-notes", ("items",), 2026))
    project.git("remote", "rename", "origin", "template")
    for path in (project.folder / "migration/versions").glob("*.py"):
        path.unlink()
    project.write("migration/versions/2026-01-01_first.py", FIRST)
    project.commit("Make the template Acme Notes")
    project.write("app/notes/__init__.py", "")
    project.write("app/notes/models.py", MODEL)
    project.write("README.md", "# Acme Notes\n\nOurs.\n")
    project.commit("Add notes")
    return project


def update(project: Project) -> tuple[int, str]:
    """Do what `make update` does, by the code of the template that is fetched."""
    project.git("fetch", "--quiet", "template")
    code = project.folder.parent / "code"
    code.mkdir()
    project.run("sh", "-c", f"git archive template/main template | tar -x -C '{code}'")
    command = (sys.executable, "-m", "template", "update", "template/main")
    done = project.call(*command, PYTHONPATH=str(code))
    return done.returncode, done.stdout


def find_revision(project: Project) -> tuple[Path, str]:
    """Return the project's last revision, and what it is called."""
    path = max((project.folder / "migration/versions").glob("*.py"))
    (line,) = [each for each in path.read_text().splitlines() if each.startswith("revision =")]
    return path, line.split('"')[1]


def test_changes_come_into_a_project_that_has_grown(
    newer: Project, project: Project, empty_database: URL
) -> None:
    url = libpq_uri(empty_database)
    project.run("alembic", "upgrade", "head", DATABASE_URL=url)
    project.run("alembic", "revision", "--autogenerate", "-m", "Add notes", DATABASE_URL=url)
    last = project.commit("Add a revision") and find_revision(project)[1]
    newer.replace("app/greeting.py", "API docs:   ", "API:        ")
    newer.replace("app/users/models.py", "    hashed_password: str\n", FIELD)
    newer.replace("app/items/service.py", '"""', '"""Newer. ')
    newer.replace("docs/accounts.md", "# Accounts\n", "# Accounts\n\nNewer.\n")
    newer.replace("requirements.txt", "alembic==", "# newer\nalembic==")
    newer.replace(
        "packages/alembic-online/README.md", "# alembic-online\n", "# alembic-online\n\nX.\n"
    )
    page = REVISION.format(parent=find_revision(newer)[1], table="user")
    newer.write("migration/versions/2026-12-01_nickname.py", page)
    newer.commit("Improve the template")
    code, said = update(project)
    assert code == 0, said
    assert "stay away:\n    app/items/service.py\n" in said
    assert "2026-12-01_nickname.py" in said
    assert project.git("status", "--porcelain") == ""
    assert "API:        " in (project.folder / "app/greeting.py").read_text()
    assert "Newer." in (project.folder / "docs/accounts.md").read_text()
    assert "# newer" in (project.folder / "requirements.txt").read_text()
    assert (project.folder / "README.md").read_text() == "# Acme Notes\n\nOurs.\n"
    revision = (project.folder / "migration/versions/2026-12-01_nickname.py").read_text()
    assert f'down_revision = "{last}"' in revision
    assert f"Revises: {last}\n" in revision
    assert not (project.folder / "template").exists()
    assert not (project.folder / "app/items").exists()
    project.run("ruff", "check", "--no-cache", "app", "migration")
    project.run("alembic", "upgrade", "head", DATABASE_URL=url)
    project.run("alembic", "check", DATABASE_URL=url)
    newest = newer.git("rev-parse", "HEAD")
    assert Record.read((project.folder / ".template.toml").read_text()).commit == newest
    (project.folder.parent / "code").rename(project.folder.parent / "used")
    assert update(project) == (0, "There is nothing new in the template\n")


FIELD = """\
    hashed_password: str
    nickname: str | None = Field(default=None, max_length=20)
"""


def test_conflicts_are_listed_and_can_be_given_up(newer: Project, project: Project) -> None:
    project.replace("app/greeting.py", "API docs:   ", "Ours:       ")
    (project.folder / "docs/migrations.md").unlink()
    mine = project.commit("Change what the service says")
    newer.replace("app/greeting.py", "API docs:   ", "Theirs:     ")
    newer.replace("docs/migrations.md", "# Migrations\n", "# Migrations\n\nNewer.\n")
    page = REVISION.format(parent=find_revision(newer)[1], table="item")
    newer.write("migration/versions/2026-12-01_nickname.py", page)
    newer.commit("Improve the template")
    code, said = update(project)
    assert code == 1
    assert "these files are in conflict:\n    app/greeting.py\nResolve" in said
    assert "stay away:\n    docs/migrations.md\n" in said
    assert "tables that are not here; `make revision` writes what is left:\n    2026-12-01" in said
    assert "Ours:       " in (project.folder / "app/greeting.py").read_text()
    project.git("cherry-pick", "--abort")
    project.git("switch", "--quiet", "main")
    assert project.git("rev-parse", "HEAD") == mine
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("record", ["", 'commit = "0123456789"\nname = 1\n'])
def test_record_that_cannot_be_used_is_told_in_a_line(
    newer: Project, project: Project, record: str
) -> None:
    project.write(".template.toml", record)
    start = project.commit("Lose the record")
    newer.write("new.txt", "new")
    newer.commit("Improve the template")
    code, said = update(project)
    assert code == 1
    assert said.startswith("update: .template.toml cannot be read")
    assert said.count("\n") == 1
    assert project.git("rev-parse", "HEAD") == start
