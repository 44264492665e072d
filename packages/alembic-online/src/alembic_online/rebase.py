"""Put the newer of two branches of revisions on top of the other.

Two developers who each add a revision leave two heads once both are merged. A merge revision would
hide that nobody has tried them one after the other; a rebase makes the order plain.
"""

import argparse
import re
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError


def rebase(scripts: ScriptDirectory) -> str:
    """Change the file of the newer branch's first revision; return what was done, in a line.

    The newer branch is the one whose head has the later creation date. Raises `CommandError`
    unless there are exactly two heads.
    """
    heads = scripts.get_revisions(scripts.get_heads())
    if len(heads) != 2:  # noqa: PLR2004  # one is fine, and three need a decision
        raise CommandError(f"a rebase needs two heads, and there are {len(heads)}")
    older, newer = sorted((head for head in heads if head), key=_creation_date)
    first = _first_of_branch(scripts, newer, older)
    _replace_parent(Path(first.path), older.revision)
    return (
        f"{first.revision} ({first.doc}) now follows {older.revision} ({older.doc}).\n"
        "A database that has it already has not got the other:\n"
        f"    alembic downgrade {older.revision} && alembic stamp"
        f" {first.down_revision or 'base'} && alembic upgrade head"
    )


def _creation_date(script: Script) -> str:
    found = re.search(r"^Create Date: (.+)$", script.longdoc, re.MULTILINE)
    return found[1] if found else ""


def _first_of_branch(scripts: ScriptDirectory, newer: Script, older: Script) -> Script:
    below = {script.revision for script in scripts.iterate_revisions(older.revision, "base")}
    branch = [
        script
        for script in scripts.iterate_revisions(newer.revision, "base")
        if script.revision not in below
    ]
    return branch[-1]


def _replace_parent(path: Path, parent: str) -> None:
    text = path.read_text("utf-8")
    text = re.sub(r"^Revises:.*$", f"Revises: {parent}", text, count=1, flags=re.MULTILINE)
    assignment = r"^(down_revision\b[^=]*=).*$"
    text, replaced = re.subn(assignment, rf'\1 "{parent}"', text, count=1, flags=re.MULTILINE)
    if not replaced:
        raise CommandError(f"{path} has no line `down_revision = ...`")
    path.write_text(text, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m alembic_online.rebase", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("-c", "--config", default="alembic.ini", help="alembic.ini, where it is")
    try:
        print(rebase(ScriptDirectory.from_config(Config(parser.parse_args().config))))  # noqa: T201  # what the command is for
    except CommandError as error:
        sys.exit(f"rebase-revision: {error}")


if __name__ == "__main__":
    main()
