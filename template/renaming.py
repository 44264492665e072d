"""Puts a project's own names in the place of the template's."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from template.names import Names


def rename(folder: Path, names: Names, renames: Mapping[str, str]) -> None:
    """Replace each name wherever it stands; `{name}` and its like are the project's."""
    filled = {old: names.fill(new) for old, new in renames.items()}
    for path in find_texts(folder):
        text = new = path.read_text("utf-8")
        for old, put in filled.items():
            new = new.replace(old, put)
        if new != text:
            path.write_text(new, "utf-8")


def find_texts(folder: Path) -> Iterable[Path]:
    """Yield the files that hold text, but for git's own."""
    for path in sorted(folder.rglob("*")):
        if ".git" in path.parts or path.is_symlink() or not path.is_file():
            continue
        if b"\0" not in path.read_bytes()[:4096]:
            yield path
