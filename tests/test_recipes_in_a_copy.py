"""docs/recipes.md leaves all rules of the project kept: followed whole, in a copy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.documentation import follow, read_every_block
from tests.servers import copy_repository
from tests.test_recipes import BLOCKS, PAGE, name_module

# Who may call the routes of the page: what the first paragraph asks for.
DECISIONS = """
    "GET /api/v1/groups": (401, 200, 200, 200),
    "POST /api/v1/welcome": (401, 202, 202, 202),
    "GET /api/v1/weather": (502, 502, 502, 502),
    "POST /api/v1/webhooks/payments": (422, 422, 422, 422),
    "PUT /api/v1/avatars/me": (401, 422, 422, 422),
    "GET /api/v1/feed": (200, 200, 200, 200),
    "GET /api/v1/exports/users.csv": (401, 403, 403, 200),
    "GET /api/v1/plumbuses/{plumbus_id}": (422, 422, 422, 422),
    "GET /api/v1/archive": (200, 200, 200, 200),
"""
STATEMENTS = """
    "POST /api/v1/welcome": 3,
    "GET /api/v1/feed": 3,
"""
TESTS = (
    *("tests/test_architecture.py", "tests/web/test_property_based.py", "tests/test_recipes.py"),
    *("tests/auth/test_authorization.py", "tests/database/test_statements.py"),
    *("tests/test_requirements.py", "tests/settings", "tests/web/test_openapi.py"),
    *("tests/auth/test_export.py", "tests/users/test_names.py"),
)
AFFECTED = "not test_operation and not test_route or " + " or ".join(
    re.findall(r"/v1/(\w+)", DECISIONS)
)


@pytest.mark.long
def test_page_leaves_all_rules_of_the_project_kept(tmp_path: Path, empty_database: URL) -> None:
    copy = copy_repository(tmp_path / "copy")
    follow(read_every_block(PAGE), copy, {})
    routers = [path for path in BLOCKS if path.endswith("/router.py")]
    for path in routers:
        (copy / path).with_name("__init__.py").touch()
        add_router(copy / "app/main.py", name_module(path))
    add_lines(copy / "tests/auth/test_authorization.py", "DECISIONS = {\n", DECISIONS)
    add_lines(copy / "tests/database/test_statements.py", "STATEMENTS = {\n", STATEMENTS)
    environment = os.environ | {"PYTHONPATH": str(copy), "DATABASE_URL": libpq_uri(empty_database)}

    def run(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=copy,
            env={name: each for name, each in environment.items() if "PYTEST" not in name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("ruff", "check", "--quiet", "--select", "I", "--fix")
    run("ruff", "check", "--no-cache")
    run("ruff", "format", "--check", "--no-cache")
    run("mypy", "app/main.py", *BLOCKS)
    run("alembic", "upgrade", "head")
    run("alembic", "revision", "--autogenerate", "-m", "Follow the recipes")
    # Weather's lifespan has a client of the real network, which no test may use.
    chosen = f"({AFFECTED}) and not leaves_all and not (test_operation and weather)"
    run("pytest", "-q", "-x", "-p", "no:xdist", *TESTS, "-k", chosen)


def add_lines(module: Path, behind: str, lines: str) -> None:
    text = module.read_text("utf-8")
    assert behind in text
    module.write_text(text.replace(behind, behind + lines.lstrip("\n"), 1))


def add_router(main: Path, module: str) -> None:
    """Include a router as the page says."""
    name = module.split(".")[1]
    line = "from app.database.tables import load_models\n"
    add_lines(main, line, f"from {module} import router as {name}_router\n")
    line = "    app.include_router(health_router)\n"
    add_lines(main, line, f"    app.include_router({name}_router, prefix=API)\n")
