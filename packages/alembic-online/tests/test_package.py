"""The package itself: what it needs, and what may not slip into it."""

import ast
import sys
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def test_nothing_is_imported_but_the_declared_dependencies() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {name.partition(">=")[0].replace("-", "_") for name in project["dependencies"]}
    imported = {
        name.partition(".")[0]
        for path in (PACKAGE / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names - {"alembic_online"} == declared


def test_types_are_told() -> None:
    assert (PACKAGE / "src" / "alembic_online" / "py.typed").exists()
