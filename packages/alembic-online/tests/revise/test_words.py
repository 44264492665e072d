"""What is said while a revision is made: what the reader needs, once, in words."""

import logging

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate


def plan(project: Project) -> list[str]:
    return [" ".join(line.split()) for line in project.output.splitlines()]


def test_comments_are_told_in_words(project: Project) -> None:
    commented = USER.replace(
        "class User(SQLModel, table=True):",
        "class User(SQLModel, table=True):\n    __table_args__ = {'comment': 'they %s: sign in'}",
    )
    commented = commented.replace(
        "max_length=255)\n", "max_length=255, sa_column_kwargs={'comment': 'its'})\n"
    )
    migrate(project, commented)
    assert "comment table user SHARE UPDATE EXCLUSIVE an instant" in plan(project)
    assert "alter column user.email: comment SHARE UPDATE EXCLUSIVE an instant" in plan(project)
    migrate(project, USER)
    assert "drop comment of table user SHARE UPDATE EXCLUSIVE an instant" in plan(project)
    project.downgrade()
    query = """SELECT obj_description('"user"'"""
    assert project.scalar(f"{query}\\:\\:regclass)") == "they %s: sign in"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("motto: str = 'x'", "user.extra comes back with its default, its values are gone"),
        ("motto: str | None = None", "user.extra comes back empty, its values are gone"),
        ("motto: str | None = 'x'", "user.extra comes back with its default, its values"),
    ],
)
def test_column_with_a_default_does_not_come_back_empty(
    project: Project, column: str, words: str
) -> None:
    migrate(project, f"{USER}    {column.replace('motto', 'extra')}\n")
    revision = migrate(project, USER, "drop=user.extra")
    assert words in " ".join(revision.replace("#", " ").split())
    project.downgrade()
    expected = "x" if "'x'" in column else None
    assert project.rows('SELECT extra FROM "user"') == [(expected,)] * 2


@pytest.mark.parametrize(
    ("before", "after", "warns"),
    [
        ("int = 5", "Decimal = 5", False),
        ("int = 5", "Decimal = Field(5, max_digits=12, decimal_places=2)", False),
        ("int = 5", "Decimal = Field(5, max_digits=10, decimal_places=2)", True),
        ("int = 5", "float = 5", False),
        ("int = Field(5, sa_type=sa.BigInteger)", "float = 5", True),
        ("float = 5", "int = 5", True),
        ("int = 5", "str = '5'", False),
        ("dt.date | None = None", "dt.datetime | None = Field(None, sa_type=sa.DateTime)", False),
        (
            "Decimal = Field(5, max_digits=8, decimal_places=2)",
            "Decimal = Field(5, max_digits=10, decimal_places=3)",
            False,
        ),
    ],
)
def test_values_are_said_to_change_only_if_they_may(
    project: Project, before: str, after: str, *, warns: bool
) -> None:
    migrate(project, f"{USER}    value: {before}\n")
    project.write_models(f"{USER}    value: {after}\n")
    with pytest.raises(CommandError) as refused:
        project.revise()
    assert ("may round or cut" in str(refused.value)) is warns
    assert "rewrites the whole table" in str(refused.value)


def test_advice_for_a_stored_column_can_be_followed(project: Project) -> None:
    column = "odd: int | None = Field(None, sa_column=sa.Column(sa.Integer, {}))\n"
    project.write_models(USER + "    " + column.format("sa.Computed('id % 2', persisted=True)"))
    with pytest.raises(CommandError) as refused:
        project.revise()
    assert "back-fill" not in str(refused.value)
    assert "add the column as optional" not in str(refused.value)
    assert "op.bridge_columns keeps it" in str(refused.value)
    project.write_models(USER + "    " + column.format("sa.Identity(), nullable=False"))
    with pytest.raises(CommandError, match=r"fill the old rows by op.backfill(?s:.*)Identity"):
        project.revise()
    optional = "    odd: int | None = None\n"
    migrate(project, USER + optional)  # as the advice says
    project.execute('UPDATE "user" SET odd = id')
    migrate(project, USER + "    " + column.format("sa.Identity(), nullable=False"))
    project.execute("""INSERT INTO "user" (id, email) VALUES (9, 'i@x')""")
    assert project.scalar('SELECT max(odd) FROM "user"') == 3


def test_generated_column_of_sqlite_is_not_said_to_match(sqlite_project: Project) -> None:
    project = sqlite_project
    column = "    odd: int = Field(sa_column=sa.Column(sa.Integer, sa.Computed('{}', False)))\n"
    migrate(project, USER + column.format("id % 2"))
    assert project.revise() is None
    assert "already matches" in project.output
    project.write_models(USER + column.format("id % 3"))
    assert project.revise() is None
    assert "already matches" not in project.output
    assert "NOT COMPARED: user.odd: it is generated as id%2, and in the model" in project.check()


def test_other_libraries_and_contexts_say_nothing(
    project: Project, sqlite_project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for each in (project, sqlite_project):
        each.alembic("current")
        each.write_models(USER + "    motto: str = 'x'\n")
        each.revise()
        each.upgrade()
        each.check()
    assert "skipping" not in caplog.text
    assert "Context impl" not in caplog.text
    assert "Will assume" not in caplog.text
    assert caplog.text.count("Running upgrade") == 2
