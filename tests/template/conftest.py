"""The template as a repository of its own, and a project that was made of it."""

from pathlib import Path

import pytest

from tests.template.projects import Project, clone, copy_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The work tree as it is, committed. Tests only clone it."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def fresh(template: Project, tmp_path: Path) -> Project:
    """A clone of the template, in which nothing has been done."""
    return clone(template, tmp_path / "project")
