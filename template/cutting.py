"""Takes features out of a folder: their files, and the lines about them elsewhere."""

import ast
import shutil
from collections.abc import Sequence
from pathlib import Path

from template.errors import TemplateError
from template.features import Cut, Drop, Feature


def take_out(folder: Path, features: Sequence[Feature]) -> None:
    """Delete what belongs to the features, and cut what is said about them."""
    for feature in features:
        for path in feature.paths:
            _delete(folder, path, feature, [each for each in features if each != feature])
    names = {feature.name for feature in features}
    for cut in (cut for feature in features for cut in feature.cuts):
        if cut.unless not in names and not _is_within(cut.file, features):
            apply_cut(folder, cut)
    for drop in (drop for feature in features for drop in feature.drops):
        if not _is_within(drop.file, features):
            drop_definition(folder, drop)


def apply_cut(folder: Path, cut: Cut) -> None:
    """Replace the text, which must be there once: otherwise the code has moved on."""
    path = folder / cut.file
    text = path.read_text("utf-8")
    if (found := text.count(cut.text)) != 1:
        raise TemplateError(f"{cut.file} has this {found} times, not once: {cut.text.strip()}")
    before, _, after = text.partition(cut.text)
    if cut.until:
        _, mark, rest = after.partition(cut.until)
        if not mark and cut.until.strip():  # a blank line may be the end of the file
            raise TemplateError(f"{cut.file} has no {cut.until.strip()} behind {cut.text.strip()}")
        after = mark + rest or "\n"
    path.write_text(before + cut.put + after, "utf-8")


def drop_definition(folder: Path, drop: Drop) -> None:
    """Delete a function or class, with its decorators and the blank lines behind it."""
    path = folder / drop.file
    text = path.read_text("utf-8")
    named = [node for node in ast.parse(text).body if getattr(node, "name", "") == drop.name]
    if len(named) != 1:
        raise TemplateError(f"{drop.file} has {drop.name} {len(named)} times, not once")
    decorators = getattr(named[0], "decorator_list", [])
    start = min(node.lineno for node in (named[0], *decorators)) - 1
    lines = text.splitlines(keepends=True)
    after = lines[named[0].end_lineno :]
    while after and not after[0].strip():
        after.pop(0)
    path.write_text("".join(lines[:start] + after), "utf-8")


def _delete(folder: Path, name: str, feature: Feature, others: Sequence[Feature]) -> None:
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    elif not _is_within(name, others):
        raise TemplateError(f"{name} is not there, which {feature.name} would take out")


def _is_within(file: str, features: Sequence[Feature]) -> bool:
    paths = [path for feature in features for path in feature.paths]
    return any(file == path or file.startswith(f"{path}/") for path in paths)
