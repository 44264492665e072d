"""Constraints, nullability and indexes are noticed, written by name, and undone."""

import pytest
from alembic.util import CommandError

from project import CONVENTION, Project
from revise.conftest import USER, migrate, needs_checks, start

ITEM = """
class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    owner_id: int = Field(foreign_key="user.id"{ondelete})
"""


def checked(condition: str) -> str:
    return f'{USER}    __table_args__ = (sa.CheckConstraint({condition!r}, name="ok"),)\n'


@needs_checks
@pytest.mark.parametrize(
    ("condition", "value"),
    [("id < 10", 10), ("id % 10 <> 3", 3), (r"email NOT LIKE '%\:x%'", 3), ("id::int < 10", 10)],
)
def test_check_is_added_and_dropped(project: Project, condition: str, value: int) -> None:
    insert = """INSERT INTO "user" (id, email) VALUES (:id, :email)"""
    revision = migrate(project, checked(condition))
    assert "# WARNING" not in revision
    with pytest.raises(Exception, match="ck_user_ok"):
        project.execute(insert, id=value, email=" :x")
    project.downgrade()
    project.execute(insert, id=value, email=" :x")


@needs_checks
def test_check_with_another_condition_is_noticed(project: Project) -> None:
    migrate(project, checked("id > 0 AND id < 10"))
    project.write_models(checked("id > 0 AND id < 20"))
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        project.check()
    migrate(project, checked("id > 0 AND id < 20"))
    project.execute("""INSERT INTO "user" (id, email) VALUES (15, 'c@x')""")
    with pytest.raises(Exception, match="is violated by some row"):
        project.downgrade()
    project.execute('DELETE FROM "user" WHERE id = 15')
    project.downgrade()


@needs_checks
def test_check_in_other_words_is_the_same(project: Project) -> None:
    migrate(project, checked("id in (1, 2) and email like '%@%'"))
    project.write_models(checked("(id  IN (1,2)) AND email ~~ '%@%'"))
    project.check()


def test_foreign_key_gets_another_ondelete(empty_project: Project) -> None:
    start(empty_project, USER + ITEM.format(ondelete=""))
    empty_project.execute("""INSERT INTO "user" (id, email) VALUES (1, 'a@x'), (2, 'b@x')""")
    empty_project.execute("INSERT INTO item (owner_id) VALUES (1), (2)")
    revision = migrate(empty_project, USER + ITEM.format(ondelete=', ondelete="CASCADE"'))
    assert "op.f('fk_item_owner_id')" in revision
    empty_project.execute('DELETE FROM "user" WHERE id = 1')
    assert empty_project.scalar("SELECT count(*) FROM item") == 1
    empty_project.downgrade()
    with pytest.raises(Exception, match="violates foreign key"):
        empty_project.execute('DELETE FROM "user" WHERE id = 2')


@pytest.mark.parametrize("convention", [True, False])
def test_unique_and_foreign_key_have_a_name_to_be_dropped_by(
    empty_project: Project, *, convention: bool
) -> None:
    base = USER.replace("unique=True, ", "")
    changed = f"{USER}    boss_id: int | None = Field(default=None, foreign_key='user.id')\n"
    names = CONVENTION if convention else {}
    empty_project.write_models(base, convention=names)
    empty_project.revise()
    empty_project.upgrade()
    empty_project.write_models(changed, convention=names)
    assert empty_project.revise() is not None
    empty_project.upgrade()
    empty_project.check()
    empty_project.downgrade()
    empty_project.execute("""INSERT INTO "user" (id, email) VALUES (1, 'a@x'), (2, 'a@x')""")


def test_tables_made_without_names_match_the_models(empty_project: Project) -> None:
    empty_project.write_models(USER + ITEM.format(ondelete=""), convention={})
    empty_project.execute(
        'CREATE TABLE "user" (id serial PRIMARY KEY, email varchar(255) NOT NULL UNIQUE,'
        " full_name varchar(255))"
    )
    empty_project.execute(
        'CREATE TABLE item (id serial PRIMARY KEY, owner_id int NOT NULL REFERENCES "user")'
    )
    empty_project.check()


def test_optional_becomes_required_and_back(project: Project) -> None:
    models = USER.replace(
        "full_name: str | None = Field(default=None", "full_name: str = Field(default=''"
    )
    project.execute("""UPDATE "user" SET full_name = 'Bea' WHERE id = 2""")
    migrate(project, models)
    with pytest.raises(Exception, match="NotNullViolation"):
        project.execute('UPDATE "user" SET full_name = NULL')
    revision = migrate(project, USER)
    assert "# WARNING: user.full_name is required again" in revision
    project.downgrade()
    project.downgrade()
    project.execute('UPDATE "user" SET full_name = NULL')


def test_expression_and_partial_indexes(project: Project) -> None:
    arguments = (
        'sa.Index("ix_lower", sa.text("lower(email)"), unique=True),'
        ' sa.Index("ix_odd", "email", postgresql_where=sa.text("id % 2 = 1"))'
    )
    models = f"{USER}    __table_args__ = ({arguments})\n"
    migrate(project, models)
    assert "WHERE ((id % 2) = 1)" in project.scalar(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_odd'"
    )
    assert project.revise() is None
    project.downgrade()
