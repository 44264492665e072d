"""docs/security.md cannot lie: what it calls met names tests, and they are there."""

import ast
import re
from pathlib import Path

import pytest

from tests.servers import ROOT

TESTS = ROOT / "tests"
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
# | identifiers | what we do | state | tests |
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOCUMENT.splitlines()
    if re.match(r"\| (\d|RFC)", line)
]


def find_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)}


def find_cited(row: list[str]) -> list[tuple[str, str]]:
    """Return the file and the function of each test, written as `auth/test_router.py::test_x`."""
    return re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[3])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row_names_tests_that_exist(row: list[str]) -> None:
    _, _, state, shown_by = row
    assert state in {"met", "partly", "not in scope"}
    cited = find_cited(row)
    assert (state == "not in scope") == (cited == [])
    assert not cited or shown_by == ", ".join(f"`{path}::{name}`" for path, name in cited)
    for path, name in cited:
        assert name in find_tests(TESTS / path), name


def test_every_test_of_a_requirement_is_cited_with_it() -> None:
    cited = {
        (each, identifier)
        for row in ROWS
        for each in find_cited(row)
        for identifier in row[0].split()
    }
    for path in TESTS.rglob("test_*.py"):
        for name in find_tests(path):
            if match := re.match(r"test_asvs_(\d+_\d+_\d+)_", name):
                test = (str(path.relative_to(TESTS)), name)
                assert (test, match[1].replace("_", ".")) in cited, name
            else:
                assert not name.startswith("test_asvs"), name


def test_every_requirement_has_one_row() -> None:
    identifiers = [each for row in ROWS for each in row[0].split()]
    assert len(identifiers) > 100
    assert len(identifiers) == len({*identifiers})
