"""A rehearsal of the revisions that `benchmarks.migrations` measures, and of two that block."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from app.database.embedded import running_server
from app.database.embedded.programs import find_binaries
from benchmarks.migrations import CASES, OURS, TABLES, conninfo_of, write_project

ROWS = 1_000_000
UP = [
    *(up for up, _ in CASES.values()),
    'op.alter_column("item", "owner_id", type_=sa.BigInteger)',
    """op.execute('UPDATE "user" SET full_name = upper(full_name)')""",
]
DOWN = [
    'op.alter_column("item", "owner_id", type_=sa.Integer)',
    *(down for _, down in reversed(CASES.values())),
]


def main() -> None:
    """Print what a user of the package would see."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_server(folder / "server", "max_wal_size=4GB") as url:
            with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
                connection.execute(TABLES.format(rows=ROWS))
                connection.execute("VACUUM")
            driven = url.set(drivername="postgresql+psycopg")
            upgrade, downgrade = ("\n    ".join(map(_on_a_line, steps)) for steps in (UP, DOWN))
            write_project(folder / "project", driven, OURS, upgrade, downgrade)
            path = f"{find_binaries()}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(  # noqa: S603  # ours
                [sys.executable, "-m", "alembic_online.rehearse", conninfo_of(url)],
                cwd=folder / "project",
                env=os.environ | {"PATH": path},
                check=False,  # it is to find what blocks
            )


def _on_a_line(code: str) -> str:
    return " ".join(code.split())


if __name__ == "__main__":
    main()
