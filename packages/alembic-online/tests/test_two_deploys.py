import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import Project

PAGE = Path(__file__).parents[1] / "README.md"
HEADER = """
import sqlalchemy as sa
from alembic import op

revision = "two_deploys"
down_revision = None
branch_labels = None
depends_on = None
"""

ADD = """
    INSERT INTO item
    SELECT gen_random_uuid(), repeat('x', mod(n, 7)) FROM generate_series(1, :rows) AS n
"""


@pytest.fixture
def project(tmp_path: Path, empty_database: sa.URL) -> Project:
    """A project with the revision that the README shows."""
    found = re.findall(
        r"^```python two-deploys\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (code,) = found
    project = Project(tmp_path, empty_database)
    (project.versions / "two_deploys.py").write_text(HEADER + code)
    return project


def test_column_that_becomes_another_is_filled_and_kept(project: Project) -> None:
    project.execute("CREATE TABLE item (id uuid PRIMARY KEY, title varchar NOT NULL)")
    project.execute(ADD, rows=12_000)
    project.upgrade()
    project.execute(ADD, rows=5)  # as the old version does
    wrong = "SELECT count(*) FROM item WHERE length IS DISTINCT FROM length(title)"
    assert project.scalar(wrong) == 0
    project.downgrade("base")
    assert project.scalar("SELECT count(*) FROM item") == 12_005
