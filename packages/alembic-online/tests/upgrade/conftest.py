"""A project whose env.py is the service's, on a database with filled tables."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import Project

ENV = """\
import logging
from pathlib import Path
from runpy import run_path

from alembic import context
from alembic_online import run
from project import create_engine

if not logging.getLogger().handlers:  # in a process of its own
    logging.basicConfig(level=logging.INFO, format="%(message)s")
models = run_path(str(Path(__file__).parents[1] / "models.py"), run_name="models")
url = context.config.get_main_option("sqlalchemy.url")
run(context, create_engine(url), target_metadata=models["metadata"])
"""

# 1,000 accounts, of which the first 100 have a name, and two pets for each.
TABLES = """
op.create_table("account", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("email", sa.String(100)), sa.Column("name", sa.String(100)))
op.create_table("pet", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("owner_id", sa.Integer), sa.Column("age", sa.Integer))
op.execute("INSERT INTO account SELECT i, i || '@x.com', CASE WHEN i <= 100 THEN 'Ann' END"
           " FROM generate_series(1, 1000) AS i")
op.execute("INSERT INTO pet SELECT i, 1 + i % 1000, i % 20 FROM generate_series(1, 2000) AS i")
"""
DROP_TABLES = """
op.drop_table("pet")
op.drop_table("account")
"""


@pytest.fixture
def new_project(tmp_path: Path, empty_database: sa.URL) -> Project:
    """A project without revisions on an empty database."""
    return Project(tmp_path, empty_database, env=ENV)


@pytest.fixture
def project(new_project: Project) -> Project:
    new_project.write_revision(TABLES, DROP_TABLES)
    new_project.upgrade()
    return new_project


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    """Capture what is said of an upgrade, not only what is complained of."""
    caplog.set_level(logging.INFO, "alembic.online")


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL that any engine executes, until it is cleared."""
    seen: list[str] = []

    def see(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(" ".join(statement.split()))

    sa.event.listen(sa.Engine, "before_cursor_execute", see)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", see)
