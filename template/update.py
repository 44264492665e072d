"""`make update`: one commit, on a branch, with what is new in the template since it was taken.

The template as it was and as it is are both made into this project: each by the code of its own
time, with the same names, and without the same features. What differs between the two is applied
here as git merges. So it has nothing of what was left out, and needs no history in common.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from template.errors import TemplateError
from template.features import choose_features, read_template
from template.git import commit_tree, git, pack, require_readiness, succeeds, unpack
from template.record import FILE, Record
from template.revisions import VERSIONS, keep_newer

_UNMERGED = {"DD", "AU", "UD", "UA", "DU", "AA", "UU"}
_DELETED_HERE = "DU"
_HINTS = {
    "requirements": "take the template's (git checkout --theirs), then `make lock`",
    "docs/architecture.md": "`app schema` prints the diagram",
}


@dataclass
class Change:
    """What is new in the template."""

    before: str
    after: str
    elsewhere: list[str] = field(default_factory=list)
    """Files that have changed, and that this project does not have."""
    revisions: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Revisions about tables that this project does not have."""


def update(source: str) -> None:
    """Commit the template's changes to a branch, or leave their conflicts to be resolved there."""
    require_readiness()
    record = _read_record()
    newest = git("rev-parse", "--verify", "--quiet", f"{source}^{{commit}}")
    if newest == record.commit:
        print("There is nothing new in the template")
        return
    branch = f"template-{newest[:10]}"
    if succeeds("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
        raise TemplateError(f"there is a branch {branch} already: merge it, or delete it")
    change = _find_change(record, newest)
    conflicts = _apply(change, branch, record, newest)
    print("\n".join(_report(change, conflicts, branch)))
    if conflicts:
        sys.exit(1)


def _read_record() -> Record:
    try:
        return Record.read(Path(FILE).read_text("utf-8"))
    except OSError:
        raise TemplateError(f"there is no {FILE}, which `make mine` writes") from None


def _find_change(record: Record, newest: str) -> Change:
    if not succeeds("cat-file", "-e", f"{record.commit}^{{commit}}"):
        raise TemplateError(f"{record.commit[:10]}, which {FILE} names, is not in this repository")
    features = choose_features(record.without)
    with tempfile.TemporaryDirectory(prefix="update-") as name:
        old = _shape(record, Path(name) / "old")
        new = _shape(replace(record, commit=newest), Path(name) / "new")
        known = [path.name for path in (old / VERSIONS).glob("*.py")]
        tables = [table for feature in features for table in feature.tables]
        kept, left_out = keep_newer(new, known, tables, Path.cwd())
        for path in (old / VERSIONS).glob("*.py"):
            path.unlink()
        change = Change(pack(old), pack(new), revisions=kept, left_out=left_out)
    change.elsewhere = [*_find_elsewhere(record.commit, newest, change)]
    return change


def _shape(record: Record, folder: Path) -> Path:
    """Make a project of a commit of the template."""
    folder.mkdir()
    unpack(record.commit, folder)
    record.write(folder.parent)
    command = [sys.executable, "-m", "template", "shape", str(folder.parent / FILE)]
    done = subprocess.run(  # noqa: S603  # the template's own
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TemplateError(f"template {record.commit[:10]}: {done.stderr.strip()[-400:]}")
    return folder


def _find_elsewhere(before: str, after: str, change: Change) -> Iterator[str]:
    """Name what has changed in files that belong to neither project, nor to the template alone."""
    changed = git("diff", "--name-only", "--no-renames", before, after).splitlines()
    kept = {
        name
        for tree in (change.before, change.after)
        for name in git("ls-tree", "-r", "--name-only", tree).splitlines()
    }
    own = (*read_template().paths, VERSIONS)
    for name in changed:
        if name not in kept and not any(f"{name}/".startswith(f"{path}/") for path in own):
            yield name


def _apply(change: Change, branch: str, record: Record, newest: str) -> list[str]:
    """Commit the change to a new branch; return the files whose conflicts are left to resolve."""
    message = f"Take what is new in the template\n\nFrom its commit {record.commit} to {newest}."
    commit = commit_tree(change.after, message, commit_tree(change.before, "The template before"))
    start = git("rev-parse", "HEAD")
    back = git("rev-parse", "--abbrev-ref", "HEAD")
    try:
        git("switch", "--quiet", "--create", branch)
        picked = succeeds("cherry-pick", commit)
        conflicts = [] if picked else _settle(change)
        if not picked and not conflicts:
            git("-c", "core.editor=true", "cherry-pick", "--continue")
    except BaseException:
        git("reset", "--hard", "--quiet", start)
        git("switch", "--quiet", *([back] if back != "HEAD" else ["--detach", start]))
        git("branch", "--quiet", "-D", branch)
        raise
    return conflicts


def _settle(change: Change) -> list[str]:
    """Let what was removed here stay so; return what else is in conflict."""
    status = git("status", "--porcelain", "-z", "--untracked-files=no").split("\0")
    unmerged = {line[3:]: line[:2] for line in status if line[:2] in _UNMERGED}
    removed = [name for name, kind in unmerged.items() if kind == _DELETED_HERE]
    for name in removed:
        git("rm", "--quiet", "--force", "--", name)
    change.elsewhere += removed
    conflicts = sorted({*unmerged} - {*removed})
    if not conflicts and succeeds("diff", "--cached", "--quiet"):
        raise TemplateError("git cherry-pick could not apply the template's changes")
    return conflicts


def _report(change: Change, conflicts: list[str], branch: str) -> Iterator[str]:
    if conflicts:
        yield f"You are on {branch}, and these files are in conflict:"
        yield from (f"    {name}{_hint(name)}" for name in conflicts)
        yield "Resolve them, `git add` them, and `git cherry-pick --continue`."
        yield "Or give up: `git cherry-pick --abort`, and go back to your branch."
    else:
        yield f"You are on {branch}, which has what is new in the template."
    if change.elsewhere:
        yield "These have changed in the template, and are not in this project; they stay away:"
        yield from (f"    {name}" for name in sorted(change.elsewhere))
    if change.revisions:
        yield "New revisions, which follow yours: read them, then `make migrate`."
        yield from (f"    {name}" for name in change.revisions)
    if change.left_out:
        yield "Revisions about tables that are not here; `make revision` writes what is left:"
        yield from (f"    {name}" for name in change.left_out)
    yield "Then `make check`, and merge the branch into yours."


def _hint(name: str) -> str:
    return next((f"  ({hint})" for start, hint in _HINTS.items() if name.startswith(start)), "")
