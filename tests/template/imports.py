"""What the modules of a project import of the project itself, and whether it is there."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_OWN = ("app.", "benchmarks.", "migration.", "template.", "tests.", "tools.")


def find_broken_imports(folder: Path) -> list[str]:
    """Name what is imported and not there: `app.users.models.User`."""
    names = {
        (node.module or "", alias.name)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_OWN)
        for alias in node.names
    }
    return sorted(".".join(each) for each in names if not _is_there(folder, *each))


def _is_there(folder: Path, module: str, name: str) -> bool:
    path = folder / module.replace(".", "/")
    is_module = (path / f"{name}.py").exists() or (path / name).is_dir()
    return is_module or name in _read_names(path.with_suffix(".py")) | _read_names(
        path / "__init__.py"
    )


@cache
def _read_names(path: Path) -> frozenset[str]:
    """Name what a module has, of itself and imported."""
    body = ast.parse(path.read_text("utf-8")).body if path.exists() else []
    return frozenset(name for node in body for name in _bind(node))


def _bind(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    else:
        yield from (
            each.id
            for each in ast.walk(node)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        )
