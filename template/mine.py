"""`make mine`: one commit that makes a clone of the template somebody's own project."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from template.errors import TemplateError
from template.features import Feature, choose_features
from template.git import commit_tree, git, pack, require_readiness, succeeds, unpack
from template.names import Names, choose_names
from template.record import Record
from template.revision import write_initial_revision
from template.shape import shape

_REMOTE = "template"


def make_mine(
    name: str, slug: str, without: Sequence[str], confirm: Callable[[], bool] | None
) -> None:
    """Make the commit, or leave everything as it was; `confirm` is asked, if given."""
    require_readiness()
    names, features = choose_names(Path.cwd(), name, slug), choose_features(without)
    print("\n".join(describe(names, features)))
    if confirm and not confirm():
        raise TemplateError("nothing has been changed")
    start = git("rev-parse", "HEAD")
    left_out = tuple(feature.name for feature in features if "+" not in feature.name)
    record = Record(start, names.name, names.slug, left_out, datetime.now(UTC).year)
    with tempfile.TemporaryDirectory(prefix="mine-") as folder:
        tree = _build(Path(folder), record)
    commit = commit_tree(tree, _describe_commit(record), start)
    git("merge", "--ff-only", "--quiet", commit)  # all or nothing, and nothing of it until here
    print(f"Done: {names.name} is commit {commit[:10]}")
    _name_remote()


def describe(names: Names, features: Sequence[Feature]) -> Iterator[str]:
    """Say what is going to happen."""
    yield f"Name:      {names.name}"
    yield f"Package:   {names.slug}, and so the Compose project and the image"
    yield f"Database:  {names.identifier}, with the roles {names.identifier}_owner and _service"
    for feature in features:
        yield f"Without:   {feature.name}, {feature.about}"
    yield "New:       README, CHANGELOG, a line in LICENSE, and one first revision for all tables"
    yield "Gone:      what only the template needs, this command as well"


def ask() -> bool:
    if not sys.stdin.isatty():
        raise TemplateError("nobody is there to be asked: say YES=1")
    return input("Make this one commit? [y/N] ").strip().lower() in {"y", "yes"}


def _build(folder: Path, record: Record) -> str:
    unpack(record.commit, folder)
    shape(folder, record)
    write_initial_revision(folder)
    return pack(folder)


def _describe_commit(record: Record) -> str:
    without = f", without {', '.join(record.without)}" if record.without else ""
    return f"Make the template {record.name}\n\nFrom its commit {record.commit}{without}."


def _name_remote() -> None:
    """Call the remote that the template came from what it is, as `make update` expects it."""
    remotes = git("remote").split()
    if remotes == ["origin"] and succeeds("remote", "rename", "origin", _REMOTE):
        print(f"The remote origin is now {_REMOTE}: add your own with git remote add origin URL")
