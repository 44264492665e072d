"""A domain with all that a field can be, written, migrated and tested in a copy of the project."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.forks import run_command
from tests.servers import copy_repository

CATEGORY = "title:str(40):unique color:enum(red,dark-blue)=red parent:category?"
# Among the names are some that SQL reserves.
PROJECT = """
    title:str(255) code:str(8):unique notes:text? summary:text(300)="A few words" order:int=3
    price:decimal(10,2)? rate:decimal=1.5 done:bool=false due:date? begin:date=2026-01-31:index
    meets_at:datetime? ends_at:datetime=2026-01-31T12:00:00Z token:uuid? number:int:unique
    meta:json? extra:json={} select:json='{"a": 1}' state:enum(open,closed) group:enum(a,B)?
    email:email? category:category reviewer:user? parent:project? owner:user
"""
TASK = "name:str? project:project helper:user owner:user"
WRITE = """
import sys
from tools.domain.__main__ import main
for name, fields in zip(sys.argv[1::2], sys.argv[2::2]):
    main(name, fields)
"""
# What looks at each route, table and schema, besides the tests that were written.
TESTS = (
    *("tests/projects", "tests/tasks", "tests/web/test_openapi.py"),
    *("tests/auth/test_authorization.py", "tests/database/test_statements.py"),
    *("tests/database/test_diagram.py", "tests/test_architecture.py"),
    *("tests/web/test_responses.py",),
)
# Of the routes, those that differ from domain to domain.
CONCERNED = (
    "project and not (delete and api) or task and not api or task and post and api"
    " or anothers or diagram or foreign or openapi"
)


def run(copy: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_written_domains_pass_all_that_looks_at_domains(
    tmp_path: Path, create_database: Callable[[], URL]
) -> None:
    copy = copy_repository(tmp_path / "copy")
    said = run(copy, "-c", WRITE, "category", CATEGORY, "project", PROJECT, "task", TASK)
    assert 'Next: make revision m="Add tasks"' in said
    database = libpq_uri(create_database())
    for command in (["upgrade", "head"], ["revision", "--autogenerate", "-m", "Add them"]):
        done = run_command(copy, "alembic", *command, DATABASE_URL=database)
        assert done.returncode == 0, done.stdout
    run(copy, "-m", "ruff", "check")
    run(copy, "-m", "ruff", "format", "--check")
    run(copy, "-m", "pytest", "-q", "-x", *TESTS, "-k", CONCERNED)
