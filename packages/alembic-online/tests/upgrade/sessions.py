"""Sessions that are at the database at the same time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import Project
from upgrade.processes import start_alembic


@contextmanager
def transaction(project: Project, statement: str) -> Iterator[sa.Connection]:
    """A session that has done something and does not end."""
    engine = sa.create_engine(project.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
        yield connection


def wait_until(condition: Callable[[], object]) -> None:
    """Poll for at most ten seconds."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


def is_waiting(project: Project, pattern: str) -> Callable[[], object]:
    """Return a condition: a session waits for a lock while it executes this."""
    sql = """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :pattern
             AND datname = current_database()"""
    return lambda: project.scalar(sql, pattern=pattern)


@contextmanager
def upgrade_in_index_build(project: Project) -> Iterator[tuple[sa.Connection, Process]]:
    """A process that upgrades, and the session for whose end its CREATE INDEX waits."""
    with transaction(project, "INSERT INTO pet VALUES (0, 1, 1)") as other:
        process = start(project)
        wait_until(is_waiting(project, "CREATE INDEX CONCURRENTLY%"))
        yield other, process


def start(project: Project) -> Process:
    return start_alembic(project.ini, "upgrade", "head", output=log_of(project))


def log_of(project: Project) -> Path:
    return project.folder / "log"
