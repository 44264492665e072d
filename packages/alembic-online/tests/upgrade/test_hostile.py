"""Revisions that somebody wrote by hand, and not with resumption in mind."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project

ADD_PLAN = 'op.add_column("account", sa.Column("plan", sa.String(20)))'
BACK_FILL = """
with op.get_context().autocommit_block():
    while op.get_bind().scalar(sa.text("SELECT count(*) FROM account WHERE plan IS NULL")):
        op.execute("UPDATE account SET plan = 'free' WHERE id IN"
                   " (SELECT id FROM account WHERE plan IS NULL LIMIT 300)")
"""
REFUSED = 'op.create_unique_constraint("uq_account_name", "account", ["name"])'
ALLOW = "UPDATE account SET name = id::text"


def test_back_fill_that_has_nothing_left_to_do_is_passed_over(project: Project) -> None:
    project.write_revision(f"{ADD_PLAN}{BACK_FILL}{REFUSED}")
    with pytest.raises(CommandError, match="is duplicated"):
        project.upgrade()
    project.execute(ALLOW.replace(":", "\\:"))
    project.upgrade()
    assert project.scalar("SELECT count(*) FROM account WHERE plan = 'free'") == 1000


def test_sql_is_not_taken_for_other_sql_that_is_done(project: Project) -> None:
    project.write_revision(f"""
    if not sa.inspect(op.get_bind()).has_table("kind"):
        op.execute("CREATE TABLE kind (id int)")
    {REFUSED}
    op.execute("UPDATE account SET email = 'filled'")
    """)
    with pytest.raises(CommandError, match="is duplicated"):
        project.upgrade()
    project.execute(ALLOW.replace(":", "\\:"))
    project.upgrade()
    assert project.scalar("SELECT count(*) FROM account WHERE email = 'filled'") == 1000


def test_refused_unique_of_a_new_column_takes_the_column_back(project: Project) -> None:
    column = 'sa.Column("code", sa.String(10), unique=True, server_default="x")'
    project.write_revision(f'op.add_column("account", {column})')
    for _ in range(2):
        with pytest.raises(CommandError, match="The change has been undone"):
            project.upgrade()
        with project.connect() as connection:
            assert find_unfinished(connection) == []
            assert "code" not in {c["name"] for c in sa.inspect(connection).get_columns("account")}


def test_back_fill_holds_no_lock_on_the_table(project: Project) -> None:
    locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
    mine = f"({locks} AND relation = CAST('account' AS regclass))"
    project.write_revision(f'{ADD_PLAN}\nop.execute("UPDATE account SET plan = {mine}")')
    project.upgrade()
    assert project.scalar("SELECT min(plan) || max(plan) FROM account") == "00"


def test_word_concurrently_alone_changes_nothing(project: Project, statements: list[str]) -> None:
    project.write_revision("""
    op.execute("ALTER TABLE pet ADD note text DEFAULT 'built concurrently'")
    op.execute("SELECT set_config('application_name', current_setting('lock_timeout'), false)")
    op.execute("UPDATE pet SET note = current_setting('application_name')")
    """)
    project.upgrade()
    assert project.scalar("SELECT DISTINCT note FROM pet") == "300ms"
    assert not [each for each in statements if each == "SET lock_timeout = 0"]


def test_table_that_was_there_is_not_taken_for_new(project: Project, statements: list[str]) -> None:
    project.write_revision("""
    op.create_table("pet", sa.Column("id", sa.Integer), if_not_exists=True)
    op.create_index("ix_pet_age", "pet", ["age"])
    """)
    project.upgrade()
    assert [each for each in statements if "CREATE INDEX CONCURRENTLY" in each]


def test_name_may_have_a_backslash(project: Project) -> None:
    project.write_revision("""
    op.add_column("account", sa.Column("a\\\\b:c%d", sa.Integer, server_default="1"))
    op.alter_column("account", "a\\\\b:c%d", nullable=False)
    """)
    project.upgrade()
    with project.connect() as connection:
        columns = {each["name"]: each for each in sa.inspect(connection).get_columns("account")}
    assert not columns["a\\b:c%d"]["nullable"]


def test_nothing_is_left_in_a_pool(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = sa.create_engine(project.url)
    monkeypatch.setattr("project.create_engine", lambda _: pooled)
    project.write_revision('op.create_index("ix_pet_age", "pet", ["age"])')
    project.upgrade()
    with pooled.connect() as connection:
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "0"
        locks = sa.text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        assert connection.scalar(locks) == 0
    pooled.dispose()
