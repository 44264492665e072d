"""The few things of git that are needed; what fails is said in git's last line."""

import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from template.errors import TemplateError


def git(*arguments: str, **environment: str) -> str:
    """Run git in the current folder; return what it prints, without its last line's end."""
    done = _run(arguments, environment)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise TemplateError(f"git {arguments[0]}: {said[-1] if said else 'failed'}")
    return done.stdout.decode().rstrip("\n")


def succeeds(*arguments: str) -> bool:
    return _run(arguments, {}).returncode == 0


def unpack(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    archive = subprocess.run(  # noqa: S603  # git, with a commit that git has named
        ["git", "archive", "--format=tar", commit],  # noqa: S607  # as its user finds it
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise TemplateError(f"git archive: {archive.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        # The first releases of Python 3.11 have no filter; git's own archive needs none.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(folder)  # noqa: S202  # a commit of this repository
    return folder


def pack(folder: Path) -> str:
    """Store the files of a folder, and return the name of the tree."""
    with tempfile.TemporaryDirectory() as index:
        place = {"GIT_INDEX_FILE": f"{index}/index"}
        # By force: what somebody ignores on the whole machine, the template may have.
        git(f"--work-tree={folder}", "add", "--all", "--force", ".", **place)
        return git("write-tree", **place)


def commit_tree(tree: str, message: str, *parents: str) -> str:
    each = [argument for parent in parents for argument in ("-p", parent)]
    return git("commit-tree", tree, *each, "-m", message)


def require_readiness() -> None:
    """Raise `TemplateError` where git has no commit, something uncommitted, or no committer."""
    if not succeeds("rev-parse", "--verify", "--quiet", "HEAD"):
        raise TemplateError("this is no git repository with a commit; clone the template with git")
    if git("status", "--porcelain"):
        raise TemplateError("the work tree has changes: commit them, or `git stash -u`, and retry")
    if not succeeds("var", "GIT_COMMITTER_IDENT"):
        raise TemplateError(
            'git knows no name for the commit: git config --global user.name "Ada Lovelace", and'
            " user.email"
        )


def _run(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  # arguments of our own
        ["git", *arguments],  # noqa: S607  # as its user finds it
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
