"""Which revisions a branch adds, by git."""

import os
import shutil
import subprocess
from pathlib import Path

from alembic.script import ScriptDirectory

_BASES = ("origin/HEAD", "main", "master")


def added_revisions(scripts: ScriptDirectory, since: str | None) -> list[Path]:
    """Return the files of the revisions that `since`, or the main branch, has not.

    All of them where git knows no such branch, as in a checkout of the newest commit alone.
    """
    files = [Path(script.path).resolve() for script in scripts.walk_revisions()][::-1]
    known = _known(scripts.dir, since)
    return [path for path in files if path not in known]


def _known(folder: str, since: str | None) -> set[Path]:
    """Return the files that the branch began with."""
    given = os.environ.get("GITHUB_BASE_REF")
    for base in [since] if since else [f"origin/{given}"] if given else _BASES:
        if fork := _git(folder, "merge-base", "HEAD", base):
            top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
            names = _git(folder, "ls-tree", "-r", "-z", "--name-only", "--full-tree", fork.strip())
            return {(top / name).resolve() for name in names.split("\0")}
    return set()


def _git(folder: str, *arguments: str) -> str:
    """Return what git says, which is nothing where it is missing or refuses."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", folder, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # git
    return done.stdout if done.returncode == 0 else ""
