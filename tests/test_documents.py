"""The documents: their links lead somewhere, and their prose fits a narrow window."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.servers import ROOT

LONGEST_LINE = 100
PAGES = ("README.md", "AGENTS.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCUMENTS = [
    *(ROOT / name for name in PAGES),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "packages").glob("*/*.md")),
]


def find_prose(page: str) -> Iterator[str]:
    """Return the lines that are in no fenced block and in no table."""
    in_block = False
    for line in page.splitlines():
        if line.lstrip().startswith("```"):
            in_block = not in_block
        elif not in_block and not line.startswith("|"):
            yield line


def find_anchors(page: str) -> set[str]:
    """Return what headings can be linked by, as GitHub names them."""
    headings = [line for line in find_prose(page) if line.startswith("#")]
    texts = [heading.lstrip("#").strip().lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


def find_links(page: str) -> Iterator[str]:
    """Return what links lead to; their text may go over two lines, and stand in a table."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    for match in re.finditer(r"\]\(([^)\s]+)\)", "\n".join(chain(find_prose(page), lines))):
        yield match[1]


def by_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_links_of_a_document_lead_somewhere(path: Path) -> None:
    for link in find_links(path.read_text("utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in find_anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_lines_of_a_document_are_short(path: Path) -> None:
    prose = find_prose(path.read_text("utf-8"))
    assert [line for line in prose if len(line) > LONGEST_LINE] == []
