"""A newer template: changes in the app, the package, documents, locks, and a table."""

from pathlib import Path

from tests.template.projects import Project

_FIELD = """\
    nickname: str | None = Field(default=None, max_length=20)
"""
_BEFORE = """\
    hashed_password: str = Field(sa_column_kwargs={"info": {NEVER_SHOWN: True}})
"""
_REVISION = '''"""Add a column of the template

Revision ID: feedfeedfeed
Revises: {parent}
Create Date: 2026-12-01 00:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "feedfeedfeed"
down_revision = "{parent}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("{table}", sa.Column("nickname", sa.String(length=20), nullable=True))


def downgrade() -> None:
    # DESTRUCTIVE: {table}.nickname goes.
    op.drop_column("{table}", "nickname")
'''


def improve(newer: Project) -> None:
    """Commit changes that a project may take as they are."""
    newer.replace("app/cli/greeting.py", '"""', '"""Newer. ')
    newer.replace("app/users/models.py", _BEFORE, _BEFORE + _FIELD)
    newer.replace("app/items/service.py", '"""', '"""Newer. ')
    newer.replace("docs/accounts.md", "# Accounts\n", "# Accounts\n\nNewer.\n")
    column = "        varchar hashed_password\n"
    newer.replace(
        "docs/architecture.md", column, f'{column}        varchar(20) nickname "optional"\n'
    )
    newer.replace("requirements.txt", "alembic==", "# newer\nalembic==")
    newer.replace(
        "packages/alembic-online/README.md", "# alembic-online\n", "# alembic-online\n\nNewer.\n"
    )
    add_revision(newer, "user")
    newer.commit("Improve the template")


def add_revision(newer: Project, table: str) -> None:
    page = _REVISION.format(parent=find_revision(newer)[1], table=table)
    newer.write("migration/versions/2026-12-01_nickname.py", page)


def find_revision(project: Project) -> tuple[Path, str]:
    """Return the project's last revision, and what it is called."""
    path = max((project.folder / "migration/versions").glob("*.py"))
    (line,) = [each for each in path.read_text().splitlines() if each.startswith("revision =")]
    return path, line.split('"')[1]
