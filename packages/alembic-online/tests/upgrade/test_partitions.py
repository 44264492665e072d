"""Indexes of tables with partitions."""

import pytest
from alembic.util import CommandError

from project import Project
from upgrade.directives import matching
from upgrade.processes import run_killed

EVENTS = """
    CREATE TABLE event (at date, kind int, "K %%" text) PARTITION BY RANGE (at);
    CREATE TABLE "event %%1" PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE event_2 PARTITION OF event DEFAULT PARTITION BY LIST (kind);
    CREATE TABLE event_2_1 PARTITION OF event_2 DEFAULT;
    INSERT INTO event VALUES ('2026-01-01', 1, 'a'), ('2026-03-01', 1, 'a')
"""
INVALID = "SELECT indexrelid FROM pg_index WHERE NOT indisvalid"


def test_partitions_get_their_indexes_concurrently(project: Project, statements: list[str]) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(EVENTS)
    index = """op.create_index("ix %_event", "event", ["kind", sa.text('lower("K %")')])"""
    statement = 1
    project.write_revision(index, 'op.drop_index("ix %_event", "event")')
    while run_killed(project.ini, statement, "upgrade", "head"):
        project.upgrade()
        assert project.rows(INVALID) == []
        assert project.scalar("SELECT count(*) FROM pg_indexes WHERE indexname ~ 'ix %'") == 4
        project.downgrade()
        statement += 1
    assert statement > 6
    assert len(matching(statements, "CREATE INDEX CONCURRENTLY")) > 2
    assert project.scalar("SELECT count(*) FROM pg_stats WHERE tablename LIKE '%ix %'") > 0


def test_partition_that_refuses_a_unique_index_is_left_as_it_was(project: Project) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(EVENTS)
    project.execute("INSERT INTO event VALUES ('2026-03-01', 1, 'b')")
    project.write_revision('op.create_index("ux", "event", ["at", "kind"], unique=True)')
    with pytest.raises(CommandError, match="is duplicated"):
        project.upgrade()
    assert project.scalar("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%ux%'") == 0
