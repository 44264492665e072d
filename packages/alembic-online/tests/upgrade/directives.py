"""Directives of Alembic, and what they have done."""

from alembic_online import find_unfinished
from project import Project

FOREIGN_KEY = 'op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"])'
UNIQUE = 'op.create_unique_constraint("uq_account_email", "account", ["email"])'
CHECK = 'op.create_check_constraint("age", "pet", "age >= 0")'
NOT_NULL = 'op.alter_column("account", "email", nullable=False)'
INDEX = 'op.create_index("ix_pet_age", "pet", ["age"])'
DROP_INDEX = 'op.drop_index("ix_pet_age", "pet")'
ADD_COLUMN = 'op.add_column("account", sa.Column("plan", sa.String(9), server_default="free"))'
CONSTRAINTS = """
    SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid::regclass::text IN ('pet', 'account') AND contype NOT IN ('p', 'n') ORDER BY 1
""".replace(":", "\\:")


def upgrade(project: Project, revision: str, downgrade: str = "pass") -> None:
    project.write_revision(revision, downgrade)
    project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def matching(statements: list[str], *parts: str) -> list[str]:
    return [found for found in statements if all(part in found for part in parts)]
