"""docs/security.md without tests that are gone, and without rows that nothing shows any more."""

import ast
import re
from pathlib import Path

_CITED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def tidy_evidence(folder: Path) -> None:
    """Let the page name only tests that are there, as its own test demands."""
    page = folder / "docs" / "security.md"
    lines = page.read_text("utf-8").splitlines(keepends=True)
    kept = [tidied for line in lines if (tidied := _tidy(line, folder / "tests"))]
    page.write_text("".join(kept), "utf-8")


def _tidy(line: str, tests: Path) -> str:
    cited = _CITED.findall(line)
    left = [f"`{path}::{name}`" for path, name in cited if _is_there(tests / path, name)]
    if not line.startswith("|") or len(left) == len(cited):
        return line
    row = line[: line.rindex("|", 0, line.index("`" + cited[0][0]))]
    return f"{row}| {', '.join(left)} |\n" if left else ""


def _is_there(path: Path, name: str) -> bool:
    if not path.exists():
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(path.read_text("utf-8")).body
    return any(isinstance(node, functions) and node.name == name for node in body)
