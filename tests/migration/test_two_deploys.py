import re
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.conftest import ROOT, alembic_config

HEADER = """
import uuid

import sqlalchemy as sa
from alembic import op

revision = "two_deploys"
down_revision = None
branch_labels = None
depends_on = None
"""

ADD = """
    INSERT INTO item SELECT gen_random_uuid(), repeat('x', mod(n, 7)) FROM generate_series(1, %d) n
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A folder of revisions with the one that docs/migrations.md shows."""
    page = (ROOT / "docs" / "migrations.md").read_text("utf-8")
    (code,) = re.findall(r"^```python two-deploys\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "two_deploys.py").write_text(HEADER + code)
    return tmp_path


def test_column_that_becomes_another_is_filled_and_kept(recipe: Path, empty_database: URL) -> None:
    config = alembic_config(empty_database)
    config.set_main_option("version_locations", str(recipe).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    with psycopg.connect(libpq_uri(empty_database), autocommit=True) as connection:
        connection.execute("CREATE TABLE item (id uuid PRIMARY KEY, title varchar NOT NULL)")
        connection.execute((ADD % 12_000).encode())
        command.upgrade(config, "head")
        connection.execute((ADD % 5).encode())  # as the old version does
        wrong = connection.execute("SELECT FROM item WHERE length IS DISTINCT FROM length(title)")
        assert wrong.rowcount == 0
        command.downgrade(config, "base")
        assert connection.execute("SELECT FROM item").rowcount == 12_005
