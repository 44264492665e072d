"""The copies that a rehearsal makes, and removes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from alembic_online.rehearse.__main__ import INTERRUPTED
from project import Project
from rehearsal.running import ENDLESS, copies, rehearse
from upgrade.directives import INDEX


def test_a_database_in_use_is_dumped(
    project: Project, capsys: pytest.CaptureFixture[str], server_url: sa.URL
) -> None:
    project.write_revision(INDEX, 'op.drop_index("ix_pet_age", "pet")')
    with project.connect() as connection:
        connection.execute(sa.text("UPDATE pet SET age = 0"))
        assert rehearse(project) == 0
    assert "No client would have waited" in capsys.readouterr().out
    assert rehearse(project, "--server", server_url.render_as_string()) == 0


def test_an_interrupted_rehearsal_leaves_no_copy(project: Project, server: sa.Connection) -> None:
    project.write_revision(ENDLESS)
    with start(project) as process:
        wait_for_sleep(server, process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert (process.returncode, "the copy has been removed" in said) == (INTERRUPTED, True), said


def test_what_a_killed_rehearsal_leaves_is_removed_by_the_next(
    project: Project, server: sa.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    left = f"rehearsal_{uuid4().hex}"
    server.exec_driver_sql(f"CREATE DATABASE {left}")
    project.write_revision(ENDLESS)
    with start(project) as process:  # one that works keeps its copy
        wait_for_sleep(server, process)
        assert left not in copies(server)
        (used,) = copies(server)
        project.revisions()[-1].unlink()
        assert rehearse(project) == 0
        assert copies(server) == [used]
        process.kill()
    server.execute(
        sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
        {"name": used},
    )
    assert rehearse(project) == 0
    assert f"Removed {used}" in capsys.readouterr().out


def test_a_copy_that_cannot_be_removed_is_named(
    project: Project, server: sa.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_revision("""
        op.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true',"
                   " current_database()); END $$")
    """)
    assert rehearse(project) == 1
    (left,) = copies(server)
    said = capsys.readouterr().err
    assert f"DROP DATABASE {left}" in said
    assert "could not be removed (cannot drop a template database)" in said
    server.exec_driver_sql(f"ALTER DATABASE {left} IS_TEMPLATE false")
    server.exec_driver_sql(f"DROP DATABASE {left}")


@contextmanager
def start(project: Project) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "alembic_online.rehearse", project.shown_url]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_sleep(server: sa.Connection, process: subprocess.Popen[str]) -> None:
    sleeping = sa.text(
        "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
    )
    while server.execute(sleeping).first() is None:
        assert process.poll() is None, process.communicate()
