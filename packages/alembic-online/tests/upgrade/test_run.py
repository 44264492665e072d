"""Other ways to run an upgrade, and one that fails."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project
from upgrade.conftest import ENV
from upgrade.directives import ADD_COLUMN, INDEX
from upgrade.processes import psql


def test_offline_sql_does_what_the_upgrade_does(project: Project) -> None:
    project.write_revision(
        """
        op.add_column("account", sa.Column("plan", sa.String(9), server_default="free"))
        op.create_index("ix_pet_age", "pet", ["age"])
        op.create_unique_constraint("uq_account_email", "account", ["email"])
        op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"])
        op.alter_column("account", "email", nullable=False)
        op.execute("UPDATE account SET name = '100%' WHERE id = 1")
        """
    )
    sql = project.alembic("upgrade", "hand0000:head", "--sql")
    assert "SET lock_timeout = '300ms';" in sql
    assert "CREATE INDEX CONCURRENTLY ix_pet_age" in sql
    for statement in sql.split(";\n"):
        assert "CONCURRENTLY" not in statement or "BEGIN" not in statement
    assert psql(project, sql) == ""
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0001"
    assert project.scalar("SELECT name FROM account WHERE id = 1") == "100%"
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def test_connection_of_a_caller_keeps_its_transaction(
    project: Project, statements: list[str]
) -> None:
    (project.folder / "migration" / "env.py").write_text(
        "from alembic import context\nfrom alembic_online import run\n"
        "run(context, context.config.attributes['connection'])\n"
    )
    project.write_revision(f"{ADD_COLUMN}\n{INDEX}")
    with project.connect() as connection:
        config = Config(str(project.ini), attributes={"connection": connection})
        command.upgrade(config, "head")
        assert connection.scalar(sa.text("SELECT max(plan) FROM account")) == "free"
        connection.rollback()
    assert not [sql for sql in statements if "CONCURRENTLY" in sql]
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"


def test_sqlite_goes_through_batches(tmp_path: Path) -> None:
    project = Project(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/app.db"), env=ENV)
    project.write_revision(
        'op.create_table("note", sa.Column("id", sa.Integer, primary_key=True),'
        ' sa.Column("text", sa.String(10)))\nop.execute("INSERT INTO note VALUES (1, \'a\')")'
    )
    project.write_revision(
        """
        with op.batch_alter_table("note") as batch:
            batch.create_unique_constraint("uq_note_text", ["text"])
            batch.alter_column("text", nullable=False)
            batch.create_index("ix_note_text", ["text"])
        """,
        """
        with op.batch_alter_table("note") as batch:
            batch.drop_index("ix_note_text")
            batch.drop_constraint("uq_note_text")
        """,
    )
    project.upgrade()
    assert project.rows("SELECT * FROM note") == [(1, "a")]
    project.downgrade()
    assert project.rows("SELECT * FROM note") == [(1, "a")]
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def test_failing_revision_leaves_nothing(project: Project) -> None:
    project.write_revision(f"{ADD_COLUMN}\nop.execute('SELECT 1/0')")
    with pytest.raises(CommandError, match="do not allow this change: division by zero"):
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    assert project.rows("SELECT * FROM account WHERE id = 1") == [(1, "1@x.com", "Ann")]
