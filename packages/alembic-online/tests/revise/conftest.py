"""A project whose env.py is the service's, with two users."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from project import Project

needs_checks = pytest.mark.skipif(
    find_spec("alembic.ext") is None, reason="Alembic 1.19.2 is the first that sees new CHECKs"
)
needs_virtual = pytest.mark.skipif(
    sa.__version__ < "2.1", reason="SQLAlchemy 2.1 is the first to have virtual generated columns"
)

USER = """
class User(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, max_length=255)
    full_name: str | None = Field(default=None, max_length=255)
"""


@pytest.fixture
def empty_project(tmp_path: Path, empty_database: URL) -> Project:
    return Project(tmp_path, empty_database)


@pytest.fixture
def project(empty_project: Project) -> Project:
    return with_users(empty_project)


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Project:
    url = URL.create("sqlite", database=str(tmp_path / "app.db"))
    return with_users(Project(tmp_path / "sqlite", url))


_first_revision: dict[str, str] = {}  # by dialect; the same for every test


def with_users(project: Project) -> Project:
    project.write_models(USER)
    dialect = project.url.get_backend_name()
    if dialect not in _first_revision:
        _first_revision[dialect] = project.revise(message="start") or ""
    else:
        (project.versions / "start.py").write_text(_first_revision[dialect])
    project.upgrade()
    project.execute(
        """INSERT INTO "user" (id, email, full_name) VALUES (1, 'a@x', 'Ann'), (2, 'b@x', NULL)"""
    )
    return project


def start(project: Project, models: str) -> None:
    """Bring the database to the models by a first revision."""
    project.write_models(models)
    assert project.revise(message="start") is not None
    project.upgrade()
    project.check()


def migrate(project: Project, models: str, *extras: str) -> str:
    """Change the models, revise, upgrade; the database must then match. Return the revision."""
    project.write_models(models)
    revision = project.revise(*extras)
    assert revision is not None
    project.upgrade()
    project.check()
    return revision
