"""Where Alembic's plain statements are wanted, and where they are not."""

from threading import Timer

import sqlalchemy as sa

from alembic_online import find_unfinished
from project import Project
from upgrade.directives import (
    CHECK,
    CONSTRAINTS,
    INDEX,
    matching,
    upgrade,
)


def test_table_of_the_same_run_gets_plain_statements(
    new_project: Project, statements: list[str]
) -> None:
    new_project.write_revision(
        """
        op.create_table("note", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("text", sa.String(10)))
        """
    )
    new_project.write_revision(
        """
        op.rename_table("note", "memo")
        op.create_index("ix_memo_text", "memo", ["text"])
        op.create_unique_constraint("uq_memo_text", "memo", ["text"])
        op.alter_column("memo", "text", nullable=False)
        op.add_column("memo", sa.Column("next_id", sa.Integer, sa.ForeignKey("memo.id")))
        op.drop_index("ix_memo_text", "memo")
        """
    )
    new_project.upgrade()
    assert matching(statements, "ADD CONSTRAINT uq_memo_text UNIQUE (text)")
    assert not matching(statements, "CONCURRENTLY")
    assert not matching(statements, "NOT VALID")


def test_directive_can_be_opted_out(project: Project, statements: list[str]) -> None:
    upgrade(
        project,
        """
        op.create_index("ix_pet_age", "pet", ["age"], postgresql_concurrently=False)
        op.drop_index("ix_pet_age", "pet", postgresql_concurrently=False)
        op.create_unique_constraint("uq_account_email", "account", ["email"],
                                    postgresql_concurrently=False)
        op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"],
                              postgresql_not_valid=False)
        op.create_check_constraint("age", "pet", "age >= 0", postgresql_not_valid=False)
        op.alter_column("account", "email", nullable=False, postgresql_not_valid=False)
        op.add_column("pet", sa.Column("vet_id", sa.ForeignKey("account.id",
                                       postgresql_not_valid=False), type_=sa.Integer))
        """,
    )
    assert not matching(statements, "CONCURRENTLY")
    assert not matching(statements, "VALID")
    assert len(project.rows(CONSTRAINTS)) == 4


def test_batch_is_as_safe_as_its_directives(project: Project, statements: list[str]) -> None:
    upgrade(
        project,
        """
        with op.batch_alter_table("account") as batch:
            batch.add_column(sa.Column("size", sa.Integer, server_default="3", nullable=False))
            batch.create_unique_constraint("uq_account_email", ["email"])
            batch.create_index("ix_account_size", ["size"])
        """,
    )
    assert len(matching(statements, "CONCURRENTLY")) == 2
    assert project.scalar("SELECT sum(size) FROM account") == 3000


def test_autocommit_block_of_the_revision_is_respected(project: Project) -> None:
    upgrade(
        project,
        f"""
        with op.get_context().autocommit_block():
            op.execute("VACUUM pet")
            op.create_index("ix_pet_owner_id", "pet", ["owner_id"], postgresql_concurrently=True)
            {INDEX}
            {CHECK}
        """,
    )
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'pet' ORDER BY 1"
    assert project.rows(indexes) == [("ix_pet_age",), ("ix_pet_owner_id",), ("pk_pet",)]


def test_concurrent_index_of_the_revision_may_wait(project: Project) -> None:
    """Raw or not, in a block of its own or not, it is not given up after 300 ms."""
    project.write_revision(
        """
        op.execute("CREATE INDEX CONCURRENTLY ix_one ON pet (age)")
        op.create_index("ix_two", "pet", ["age"], postgresql_concurrently=True)
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY ix_three ON pet (age)")
            op.create_index("ix_four", "pet", ["age"], postgresql_concurrently=True)
        """
    )
    engine = sa.create_engine(project.url, poolclass=sa.NullPool)
    with engine.connect() as other:
        other.execute(sa.text("INSERT INTO pet VALUES (0, 1, 1)"))
        end = Timer(1, other.rollback)
        end.start()
        project.upgrade()
        end.join()
    assert project.scalar("SELECT count(*) FROM pg_indexes WHERE tablename = 'pet'") == 5
    with project.connect() as connection:
        assert find_unfinished(connection) == []
