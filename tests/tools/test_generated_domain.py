"""Domains with all that a field can be, written, migrated and tested in a copy of the project.

`make mine-check ARGUMENTS=Growing` runs all tests with them.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.servers import copy_repository
from tests.tools.domains import DOMAINS

# One process does what a person does in three commands: it loads the project once.
WORK = """
import sys
from alembic.config import main as alembic
from tools.domain.__main__ import main
for name, fields in zip(sys.argv[1::2], sys.argv[2::2]):
    main(name, fields)
alembic(["upgrade", "head"])
alembic(["revision", "--autogenerate", "-m", "Add them"])
"""
TESTS = (
    *("tests/projects", "tests/tasks", "tests/database/test_diagram.py"),
    *("tests/auth/test_authorization.py", "tests/database/test_statements.py"),
)
# Of the routes, those that differ from domain to domain.
CONCERNED = (
    "diagram or project and not api or task and not api or api and post and (project or task)"
)


def run(copy: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.long
def test_written_domains_pass_all_that_looks_at_domains(
    tmp_path: Path, create_database: Callable[[], URL]
) -> None:
    copy = copy_repository(tmp_path / "copy")
    url = libpq_uri(create_database())
    words = [word for each in DOMAINS.items() for word in each]
    said = run(copy, "-c", WORK, *words, DATABASE_URL=url)
    assert 'Next: make revision m="Add tasks"' in said
    run(copy, "-m", "ruff", "check", "--no-cache")
    run(copy, "-m", "ruff", "format", "--check", "--no-cache")
    run(copy, "-m", "pytest", "-q", "-x", *TESTS, "-k", CONCERNED)
