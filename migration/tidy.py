"""Mend and format a new revision file by ruff: what alembic.ini runs as its only hook."""

import subprocess
import sys

RUFF = [sys.executable, "-m", "ruff"]


def tidy(path: str) -> None:
    for command in (["check", "--silent", "--fix"], ["format", "--silent"]):
        subprocess.run([*RUFF, *command, path], check=False)  # noqa: S603  # ours, and Alembic's path


if __name__ == "__main__":
    tidy(sys.argv[1])
