"""A rename keeps the data, once it is confirmed; without an answer nothing is written."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate, needs_checks, start

RENAMED = USER.replace("full_name", "display_name")

SHOP = """
class Customer(SQLModel, table=True):
    __tablename__ = "user"
    __table_args__ = (
        sa.UniqueConstraint("first", "last"),
        sa.CheckConstraint("length(first) > 1 AND first LIKE '%%'", name="first_is_long"),
        sa.Index("ix_newest", "first", sa.text("last DESC")),
        sa.Index("ix_active", "last", postgresql_where=sa.text("active")),
    )
    id: int | None = Field(default=None, primary_key=True)
    first: str = Field(index=True)
    last: str
    active: bool = True
    boss_id: int | None = Field(default=None, foreign_key="user.id")

class Order(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
"""


def names(project: Project) -> set[str]:
    """Return the names of all indexes and constraints."""
    found = project.rows(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " AND contype <> 'n' UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
    )
    return {str(name) for (name,) in found if not name.startswith("alembic")}


def test_column_rename_without_answer_is_refused(project: Project) -> None:
    project.write_models(RENAMED)
    with pytest.raises(CommandError) as refusal:
        project.revise()
    message = str(refusal.value)
    assert 'display_name: ... = Field(sa_column_kwargs={"name": "full_name"})' in message
    assert "    -x rename=user.full_name:display_name" in message
    assert "drops the column and its data (1 value)" in message
    assert "    -x drop=user.full_name" in message
    assert len(project.revisions()) == 1
    assert project.rows('SELECT full_name FROM "user" WHERE id = 1') == [("Ann",)]


def test_column_rename_keeps_the_values_there_and_back(project: Project) -> None:
    revision = migrate(project, RENAMED, "rename=user.full_name:display_name")
    assert "drop_column" not in revision
    assert "# BREAKING: user.full_name becomes display_name" in revision
    assert project.rows('SELECT display_name FROM "user" WHERE id = 1') == [("Ann",)]
    project.downgrade()
    assert project.rows('SELECT full_name FROM "user" WHERE id = 1') == [("Ann",)]


def test_column_rename_takes_its_other_changes_along(project: Project) -> None:
    changed = RENAMED.replace(
        "display_name: str | None = Field(default=None, max_length=255)",
        "display_name: str = Field(default='?', max_length=300, index=True)",
    )
    project.execute("""UPDATE "user" SET full_name = '' WHERE full_name IS NULL""")
    migrate(project, changed, "rename=user.full_name:display_name")
    assert project.rows('SELECT display_name FROM "user" ORDER BY id') == [("Ann",), ("",)]
    project.downgrade()
    assert project.rows('SELECT full_name FROM "user" WHERE id = 1') == [("Ann",)]


@needs_checks
def test_column_rename_renames_indexes_and_constraints(empty_project: Project) -> None:
    start(empty_project, SHOP)
    empty_project.execute("""INSERT INTO "user" (id, first, last) VALUES (1, 'Ann', 'Lee')""")
    before = names(empty_project)
    given = ("rename=user.first:given", "rename=order.customer_id:buyer_id")
    migrate(
        empty_project, SHOP.replace("first", "given").replace("customer_id", "buyer_id"), *given
    )
    assert {
        "ix_user_given",
        "uq_user_given_last",
        "ix_order_buyer_id",
        "fk_order_buyer_id",
    } <= names(empty_project)
    assert "first" not in str(names(empty_project))
    assert empty_project.rows('SELECT given, last FROM "user"') == [("Ann", "Lee")]
    empty_project.downgrade()
    assert names(empty_project) == before


def test_table_rename_keeps_the_rows_and_renames_what_belongs_to_it(
    empty_project: Project,
) -> None:
    start(empty_project, SHOP)
    empty_project.execute("""INSERT INTO "user" (id, first, last) VALUES (1, 'Ann', 'Lee')""")
    empty_project.execute('INSERT INTO "order" (customer_id) VALUES (1)')
    before = names(empty_project)
    models = SHOP.replace('"user"', '"customer"').replace("user.id", "customer.id")
    revision = migrate(empty_project, models, "rename=user:customer")
    assert "drop_" not in revision
    assert "create_" not in revision
    assert names(empty_project) == {name.replace("user", "customer") for name in before}
    assert empty_project.rows('SELECT "first" FROM customer JOIN "order" o ON customer_id = 1') == [
        ("Ann",)
    ]
    empty_project.downgrade()
    assert names(empty_project) == before
    assert empty_project.scalar('SELECT count(*) FROM "user"') == 1


def test_names_that_no_rename_concerns_stay(empty_project: Project) -> None:
    start(empty_project, SHOP)
    empty_project.execute('ALTER TABLE "order" RENAME CONSTRAINT pk_order TO old')
    empty_project.execute("CREATE TABLE tag (id serial CONSTRAINT odd PRIMARY KEY, name text)")
    tag = (
        "class Tag(SQLModel, table=True):\n"
        "    id: int | None = Field(default=None, primary_key=True)\n"
        "    label: str | None = Field(default=None, sa_type=sa.Text)\n"
    )
    migrate(empty_project, SHOP + tag, "rename=tag.name:label")
    assert "old" in names(empty_project)
    assert "pk_tag" in names(empty_project)


def test_table_and_column_are_renamed_at_once(project: Project) -> None:
    models = RENAMED.replace("class User", "class Account")
    answers = ("rename=user:account", "rename=account.full_name:display_name")
    migrate(project, models, *answers)
    assert project.rows("SELECT display_name FROM account WHERE id = 1") == [("Ann",)]
    project.downgrade()
    assert project.rows('SELECT full_name FROM "user" WHERE id = 1') == [("Ann",)]


def test_rename_in_python_only_needs_no_revision(project: Project) -> None:
    column = 'Field(default=None, max_length=255, sa_column_kwargs={"name": "full_name"})'
    models = USER.replace(
        "full_name: str | None = Field(default=None, max_length=255)",
        f"display_name: str | None = {column}",
    ).replace(
        "class User(SQLModel, table=True):",
        'class Account(SQLModel, table=True):\n    __tablename__ = "user"',
    )
    project.write_models(models)
    assert project.revise() is None


@pytest.mark.parametrize("answer", ["rename=user.fullname:display_name", "rename=user.full_name"])
def test_answer_to_no_question_is_refused(project: Project, answer: str) -> None:
    project.write_models(RENAMED)
    with pytest.raises(CommandError, match=f"-x {answer}: this change has no such question"):
        project.revise(answer, "drop=user.full_name")


def test_rename_to_another_type_can_be_given(project: Project) -> None:
    models = USER.replace("full_name: str | None", "about: str | None").replace(
        "max_length=255)\n", "sa_type=sa.Text)\n"
    )
    models = models.replace("unique=True, sa_type=sa.Text", "unique=True, max_length=255")
    migrate(project, models, "rename=user.full_name:about")
    assert project.rows('SELECT about FROM "user" WHERE id = 1') == [("Ann",)]


def test_confirmed_on_the_terminal(project: Project) -> None:
    project.write_models(RENAMED)
    revision = project.revise(answers=["y"])
    assert revision is not None
    assert "new_column_name='display_name'" in revision
    assert "Was user.full_name renamed to user.display_name? [y/N]" in project.output


def test_declined_on_the_terminal_asks_for_the_drop(project: Project) -> None:
    project.write_models(RENAMED)
    revision = project.revise(answers=["n", "y"])
    assert revision is not None
    assert "# DESTRUCTIVE: user.full_name: drops the column" in revision


def test_declining_everything_writes_nothing(project: Project) -> None:
    project.write_models(RENAMED)
    with pytest.raises(CommandError, match="Nothing was written"):
        project.revise(answers=["n", "n"])
    assert len(project.revisions()) == 1


def test_real_terminal_is_asked(project: Project) -> None:
    project.write_models(RENAMED)
    done = project.run_on_terminal("revision", "--autogenerate", "-m", "rename", answers=["y"])
    assert done.returncode == 0, done.stdout
    assert "Was user.full_name renamed to user.display_name? [y/N] y" in done.stdout
    assert len(project.revisions()) == 2


def test_refusal_on_a_terminal_keeps_its_lines(project: Project) -> None:
    project.write_models(f"{USER}    nickname: str\n")
    with pytest.raises(CommandError, match=r"^this change needs an answer .* ANSWER ") as refusal:
        project.revise(answers=[])
    (shown,) = refusal.value.__notes__
    assert "\n    or give existing rows a value:    -x fill=user.nickname:VALUE\n" in shown


def test_check_asks_nothing(project: Project) -> None:
    project.write_models(RENAMED)
    with pytest.raises(CommandError, match="New upgrade operations detected") as found:
        project.alembic("check", answers=["y", "y"])
    assert "add_column" in str(found.value)
    assert "remove_column" in str(found.value)


@pytest.mark.parametrize("name", ["Full Name", 'say "hi"', "50%", "a:b.c", "é" * 20, "x" * 63])
def test_quoted_and_long_names_are_renamed(project: Project, name: str) -> None:
    kwargs = f'sa_column_kwargs={{"name": {name!r}}}'
    models = USER.replace(
        "full_name: str | None = Field(default=None, max_length=255)",
        f"other: str | None = Field(default=None, max_length=255, index=True, {kwargs})",
    )
    migrate(project, models, f"rename=user.full_name:{name}")
    quoted = sa.table("user", sa.column(name))
    with project.connect() as connection:
        assert connection.scalars(sa.select(quoted.c[name])).all() == ["Ann", None]
    indexed = USER.replace(
        "full_name: str | None = Field(", "full_name: str | None = Field(index=True, "
    )
    migrate(project, indexed, f"rename=user.{name}:full_name")
    assert project.rows('SELECT full_name FROM "user" WHERE id = 1') == [("Ann",)]
    project.downgrade("base")
    project.upgrade()
