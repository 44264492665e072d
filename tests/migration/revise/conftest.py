"""A project that revises with the package and upgrades with plain Alembic."""

from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.migration.project import REVISE_ENV, Project


@pytest.fixture
def project(tmp_path: Path, empty_database: URL) -> Project:
    return Project(tmp_path, empty_database, env=REVISE_ENV)


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Project:
    url = URL.create("sqlite", database=str(tmp_path / "app.db"))
    return Project(tmp_path, url, env=REVISE_ENV)
