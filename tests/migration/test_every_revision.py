"""Each revision, whoever wrote it: up, down and up again on tables with rows, and a lint."""

import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import Script, ScriptDirectory

from alembic_online import find_unfinished
from tests.databases import alembic_config
from tests.migration.catalog import read_catalog
from tests.migration.generated_rows import fill_tables
from tests.servers import ROOT

REVISIONS = list(ScriptDirectory(str(ROOT / "migration")).walk_revisions())[::-1]
each_revision = pytest.mark.parametrize("revision", REVISIONS, ids=lambda each: each.revision)
# What autogenerate writes into a file once it was allowed, and the rules that would ask again.
ANSWERED = {
    "BREAKING": {"renaming-column", "renaming-table"},
    "DESTRUCTIVE": {"ban-drop-column", "ban-drop-table", "changing-column-type"},
    "BLOCKING": {"adding-field-with-default", "changing-column-type"},
}
# A renamed table keeps its old name as a view; that and a trigger go with the running version.
BRIDGED = {"renaming-table", "ban-drop-function", "ban-drop-view"}
Rows = dict[str, list[tuple[Any, ...]]]


def read_rows(connection: sa.Connection, spared: set[str]) -> Rows:
    """Read all tables, but for the columns and tables that a revision says it drops."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    spared = spared | {"alembic_version"}
    tables = [table for table in metadata.sorted_tables if table.name not in spared]
    return {
        table.name: sorted(
            map(tuple, connection.execute(sa.select(*_kept_columns(table, spared)))), key=repr
        )
        for table in tables
    }


def _kept_columns(table: sa.Table, spared: set[str]) -> list[sa.Column[Any]]:
    columns = sorted(table.columns, key=lambda column: column.name)
    return [column for column in columns if f"{table.name}.{column.name}" not in spared]


def _losses(revision: Script) -> set[str]:
    """Name the tables and columns (`user.full_name`) that the file says it destroys."""
    return set(re.findall(r"DESTRUCTIVE: ([\w.]+)", Path(revision.path).read_text("utf-8")))


@each_revision
def test_revision_can_be_undone_on_tables_with_rows(
    revision: Script, create_database: Callable[[], sa.URL]
) -> None:
    url = create_database()
    config = alembic_config(url)
    below = revision.down_revision or "base"
    assert isinstance(below, str), "a merge revision changes nothing that could be undone"
    engine = sa.create_engine(url, poolclass=sa.NullPool)

    if below != "base":
        command.upgrade(config, below)
    with engine.begin() as connection:
        fill_tables(connection)
        catalog, rows = read_catalog(connection), read_rows(connection, _losses(revision))

    command.upgrade(config, revision.revision)
    with engine.begin() as connection:
        upgraded = read_catalog(connection)
        assert find_unfinished(connection) == []
    command.downgrade(config, below)
    with engine.begin() as connection:
        assert read_catalog(connection) == catalog
        assert read_rows(connection, _losses(revision)) == rows

    command.upgrade(config, revision.revision)
    with engine.begin() as connection:
        assert read_catalog(connection) == upgraded
        fill_tables(connection)


def _waivers(revision: Script) -> set[str]:
    text = Path(revision.path).read_text("utf-8")
    remarks = re.findall(r"^ +# (BREAKING|DESTRUCTIVE|BLOCKING): ", text, re.MULTILINE)
    own = re.findall(r"# squawk: allow ([\w-]+), \S+", text)
    # Given on the command line, they would replace those of the configuration.
    everywhere = tomllib.loads((ROOT / ".squawk.toml").read_text("utf-8"))["excluded_rules"]
    bridged = BRIDGED if "_bridge(" in text or "op.bridge_" in text else set()
    answered = {rule for remark in remarks for rule in ANSWERED[remark]}
    return {*everywhere, *own, *bridged, *answered}


@each_revision
def test_revision_passes_the_lint(revision: Script) -> None:
    config = alembic_config(sa.make_url("postgresql+psycopg://"))
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{revision.down_revision or 'base'}:{revision.revision}", sql=True)
    squawk = Path(sys.executable).parent / "squawk"
    done = subprocess.run(
        [squawk, "--pg-version=18", *(f"--exclude={rule}" for rule in _waivers(revision))],
        env=os.environ | {"NO_COLOR": "1"},
        input=config.output_buffer.getvalue(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
