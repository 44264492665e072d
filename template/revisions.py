"""The template's newer revisions, put behind those that a project has."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from template.errors import TemplateError

VERSIONS = "migration/versions"
_REVISION = re.compile(r'^revision\b[^=]*= *["\'](\w+)["\']', re.MULTILINE)
_PARENT = re.compile(r"^(down_revision\b[^=]*=) *(.+)$", re.MULTILINE)
_REVISES = re.compile(r"^Revises:.*$", re.MULTILINE)


@dataclass(frozen=True)
class Revision:
    path: Path
    name: str
    parents: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Revision":
        text = path.read_text("utf-8")
        name, parent = _REVISION.search(text), _PARENT.search(text)
        if not name or not parent:
            raise TemplateError(f"{path.name} is no revision: it names none, or no parent")
        return cls(path, name[1], tuple(re.findall(r"[\"'](\w+)[\"']", parent[2])))

    def follow(self, parent: str) -> None:
        """Write into the file what it comes after."""
        text = _PARENT.sub(rf'\1 "{parent}"', self.path.read_text("utf-8"), count=1)
        self.path.write_text(_REVISES.sub(f"Revises: {parent}", text, count=1), "utf-8")


def keep_newer(
    folder: Path, known: Iterable[str], tables: Iterable[str], project: Path
) -> tuple[list[str], list[str]]:
    """Delete the revisions that the project has, in its own words, and order the others behind it.

    Returns the names of those that stay, and of those that are about tables it does not have.
    """
    head, kept, left_out = find_head(project), list[str](), list[str]()
    for revision in _in_order(map(Revision.read, (folder / VERSIONS).glob("*.py"))):
        is_known = revision.path.name in known
        if is_known or _names(revision, tables):
            left_out += [] if is_known else [revision.path.name]
            revision.path.unlink()
            continue
        revision.follow(head)
        head, kept = revision.name, [*kept, revision.path.name]
    return kept, left_out


def find_head(project: Path) -> str:
    """Return the last revision of a project, of which there must be one."""
    revisions = [Revision.read(path) for path in (project / VERSIONS).glob("*.py")]
    heads = {each.name for each in revisions} - {
        name for each in revisions for name in each.parents
    }
    if len(heads) != 1:
        raise TemplateError(f"{len(heads)} revisions come last: `make rebase-revision` orders two")
    return heads.pop()


def _in_order(revisions: Iterable[Revision]) -> Iterator[Revision]:
    """Yield each behind its parents."""
    waiting, done = sorted(revisions, key=lambda each: each.path.name), set[str]()
    while waiting:
        ready = next(each for each in waiting if {*each.parents} <= done)
        waiting.remove(ready)
        done.add(ready.name)
        yield ready


def _names(revision: Revision, tables: Iterable[str]) -> bool:
    text = revision.path.read_text("utf-8")
    return any(f'"{table}"' in text for table in tables)
