"""Alembic in a process that dies before its n-th change, as by `kill -9`."""

import os
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa
from alembic.config import main

KILLED = 9

# Each child is a fork of one process that has everything loaded: a tenth of a second each.
_processes = get_context("forkserver")
_processes.set_forkserver_preload([__name__, "psycopg", "sqlmodel", "migration.online"])


def run_killed(ini: Path, statement: int, *arguments: str) -> bool:
    """Run Alembic, killed before its n-th statement that changes something; was there one?"""
    process = _processes.Process(target=_run, args=(ini, statement, arguments))
    process.start()
    process.join()
    assert process.exitcode in {0, KILLED}
    return process.exitcode == KILLED


def _run(ini: Path, statement: int, arguments: tuple[str, ...]) -> None:
    left = statement

    def count(_: object, __: object, sql: str, *___: object) -> None:
        nonlocal left
        left -= not sql.lstrip().upper().startswith(("SELECT", "SET", "SHOW"))
        if left == 0:
            os._exit(KILLED)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    main(["-c", str(ini), *arguments])
