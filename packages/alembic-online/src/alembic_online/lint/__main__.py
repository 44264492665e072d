"""Look at the revisions that a branch adds: `python -m alembic_online.lint`."""

import argparse
import os
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from alembic_online.lint import Finding, look
from alembic_online.lint.branch import added_revisions


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m alembic_online.lint", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="revisions; else those of the branch")
    parser.add_argument("--since", metavar="REF", help="the branch that they come on top of")
    parser.add_argument("-c", "--config", default="alembic.ini", help="alembic.ini, where it is")
    options = parser.parse_args()
    files = options.files or added_revisions(_scripts(options.config), options.since)
    findings = [finding for path in files for finding in look(path)]
    for finding in findings:
        print(shown(finding))  # noqa: T201  # what the command is for
    return 1 if findings else 0


def _scripts(ini: str) -> ScriptDirectory:
    try:
        return ScriptDirectory.from_config(Config(ini))
    except CommandError as error:
        sys.exit(f"lint: {error}")


def shown(finding: Finding) -> str:
    """Write a finding as editors find their way by, or as GitHub shows it beside the line."""
    path = os.path.relpath(finding.path)
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return f"{path}:{finding.line}: {finding.message}"
    message, file = _escaped(finding.message), _escaped(path, ":,")
    return f"::error file={file},line={finding.line}::{message}"


def _escaped(text: str, more: str = "") -> str:
    for sign in f"%\r\n{more}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


if __name__ == "__main__":
    sys.exit(main())
