"""What would lose data or block a live table is refused until it is allowed."""

import re

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate, needs_virtual


def refusal(project: Project, models: str, *extras: str) -> str:
    project.write_models(models)
    before = project.revisions()
    with pytest.raises(CommandError) as refused:
        project.revise(*extras)
    assert project.revisions() == before
    assert "Nothing was written" in str(refused.value)
    return str(refused.value)


WITHOUT_NAME = USER.replace("    full_name: str | None = Field(default=None, max_length=255)\n", "")


def test_dropped_column_is_refused_until_allowed(project: Project) -> None:
    message = refusal(project, WITHOUT_NAME)
    assert "user.full_name: drops the column and its data (1 value), and breaks" in message
    assert "    -x drop=user.full_name" in message
    revision = migrate(project, WITHOUT_NAME, "drop=user.full_name")
    assert "# DESTRUCTIVE: user.full_name: drops the column and its data (1 value)" in revision
    assert "# WARNING: user.full_name comes back empty" in revision
    project.downgrade()
    assert project.rows('SELECT id, full_name FROM "user" ORDER BY id') == [(1, None), (2, None)]


def test_required_column_comes_back_optional(project: Project) -> None:
    models = USER.replace("    email: str = Field(unique=True, max_length=255)\n", "")
    revision = migrate(project, models, "drop=user.email")
    assert "# WARNING: user.email comes back optional and empty" in revision
    project.downgrade()
    assert project.rows('SELECT email FROM "user"') == [(None,), (None,)]


def test_column_with_default_comes_back_with_it(project: Project) -> None:
    migrate(project, f'{USER}    motto: str = "it\'s: 5%"\n')
    migrate(project, USER, "drop=user.motto")
    project.downgrade()
    assert project.rows('SELECT motto FROM "user"') == [("it's: 5%",)] * 2


def test_dropped_table_is_refused_until_allowed(project: Project) -> None:
    assert "user: drops the table and its data (2 rows)" in refusal(project, "")
    revision = migrate(project, "", "drop=user")
    assert "drop_index" not in revision
    project.downgrade()
    assert project.rows('SELECT * FROM "user"') == []
    project.write_models(USER)
    project.upgrade("head")
    project.downgrade()


def test_shorter_type_is_refused_until_allowed(project: Project) -> None:
    models = USER.replace(
        "full_name: str | None = Field(default=None, max_length=255",
        "full_name: str | None = Field(default=None, max_length=3",
    )
    project.execute("""UPDATE "user" SET full_name = 'Lisa' WHERE id = 2""")
    message = refusal(project, models)
    assert "user.full_name: shrinks to 3 characters (1 value too long)" in message
    project.write_models(models)
    revision = project.revise("shrink=user.full_name")
    assert revision is not None
    assert revision.index("create_check_constraint") < revision.index("type_=sa.String(length=3)")
    with pytest.raises(Exception, match="user_full_name_fits_new_type"):
        project.upgrade()
    assert project.rows('SELECT full_name FROM "user" ORDER BY id') == [("Ann",), ("Lisa",)]
    project.execute("""UPDATE "user" SET full_name = 'Li' WHERE id = 2""")
    project.upgrade()
    project.check()
    project.downgrade()
    assert project.rows('SELECT full_name FROM "user" ORDER BY id') == [("Ann",), ("Li",)]
    project.execute("""UPDATE "user" SET full_name = 'Lisa' WHERE id = 2""")


def test_longer_type_needs_no_answer(project: Project) -> None:
    migrate(project, USER.replace("255", "300"))
    migrate(project, USER.replace("max_length=255", "sa_type=sa.Text"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("int = 5", "int = Field(5, sa_type=sa.BigInteger)"),
        (
            "Decimal = Field(5, max_digits=10, decimal_places=2)",
            "Decimal = Field(5, max_digits=12, decimal_places=4)",
        ),
        (
            "dt.datetime | None = Field(None, sa_type=sa.DateTime)",
            "dt.datetime | None = Field(None, sa_type=sa.Date)",
        ),
    ],
)
def test_rewriting_type_change_is_refused_until_allowed(
    project: Project, before: str, after: str
) -> None:
    migrate(project, f"{USER}    value: {before}\n")
    rows = project.rows('SELECT value FROM "user"')
    message = refusal(project, f"{USER}    value: {after}\n")
    assert "rewrites the whole table, which nobody can read or write meanwhile (2 rows)" in message
    assert "    -x expand=user.value:" in message
    revision = migrate(project, f"{USER}    value: {after}\n", "rewrite=user.value")
    assert "# BLOCKING: user.value" in revision
    assert project.rows('SELECT value FROM "user"') == rows
    project.downgrade()
    assert project.rows('SELECT value FROM "user"') == rows


@pytest.mark.parametrize("identity", [True, False])
def test_sequence_of_a_key_gets_as_wide_as_the_key(project: Project, *, identity: bool) -> None:
    if identity:
        project.execute('ALTER TABLE "user" ALTER id DROP DEFAULT')
        project.execute("DROP SEQUENCE user_id_seq")
        project.execute('ALTER TABLE "user" ALTER id ADD GENERATED BY DEFAULT AS IDENTITY')
    sequence = """SELECT seqtypid::regtype::text, seqmax FROM pg_sequence
        WHERE seqrelid = pg_get_serial_sequence('"user"', 'id')::regclass"""
    args = (
        "sa.BigInteger, sa.Identity(), primary_key=True"
        if identity
        else "sa.BigInteger, primary_key=True"
    )
    models = USER.replace(
        "Field(default=None, primary_key=True)", f"Field(default=None, sa_column=sa.Column({args}))"
    )
    migrate(project, models, "rewrite=user.id")
    assert project.rows(sequence) == [("bigint", 2**63 - 1)]
    project.downgrade()
    assert project.rows(sequence) == [("integer", 2**31 - 1)]


def test_number_of_changed_values_is_told(project: Project) -> None:
    column = "price: Decimal = Field(5, max_digits=10, decimal_places={})"
    migrate(project, f"{USER}    {column.format(3)}\n")
    project.execute('UPDATE "user" SET price = 1.125 WHERE id = 1')
    message = refusal(project, f"{USER}    {column.format(2)}\n")
    assert "(2 rows), and changes 1 value" in message
    project.execute('UPDATE "user" SET price = 1')
    message = refusal(project, f"{USER}    {column.format(2)}\n")
    assert "(2 rows), and may round or cut values" in message  # those of another database


@pytest.mark.parametrize(
    ("before", "after"),
    [("str = 'x'", "int = 5"), ("bool = True", "Plan = Plan.free"), ("bool = True", "int = 1")],
)
def test_type_change_that_needs_a_conversion_is_refused(
    project: Project, before: str, after: str
) -> None:
    plan = "class Plan(enum.Enum):\n    free = 1\n"
    migrate(project, f"{USER}    value: {before}\n")
    message = refusal(project, f"{plan}{USER}    value: {after}\n", "rewrite=user.value")
    assert "needs more than a new type, PostgreSQL says: " in message
    assert "    -x expand=user.value:" in message


@pytest.mark.parametrize(
    "column",
    [
        "uuid.UUID = Field(sa_column_kwargs={'server_default': sa.text('gen_random_uuid()')})",
        "int = Field(sa_column=sa.Column(sa.Integer, sa.Computed('id % 2', persisted=True)))",
        "int = Field(sa_column=sa.Column(sa.Integer, sa.Identity(), nullable=False))",
    ],
)
def test_column_that_rewrites_the_table_is_refused_until_allowed(
    project: Project, column: str
) -> None:
    models = f"{USER}    extra: {column}\n"
    message = refusal(project, models)
    assert "user.extra: a value of its own for each row rewrites the whole table" in message
    assert "Without it" in message
    migrate(project, models, "rewrite=user.extra")
    assert project.scalar('SELECT count(extra) FROM "user"') == 2
    project.downgrade()


@needs_virtual
@pytest.mark.usefixtures("_needs_postgresql_18")
def test_virtual_generated_column_rewrites_nothing(project: Project) -> None:
    column = "sa.Column(sa.Integer, sa.Computed('id % 2', persisted=False))"
    migrate(project, f"{USER}    odd: int = Field(sa_column={column})\n")
    assert project.rows('SELECT odd FROM "user" ORDER BY id') == [(1,), (0,)]


def test_trial_leaves_nothing_behind(project: Project) -> None:
    refusal(project, USER.replace("max_length=255", "max_length=9"))
    tables = project.rows(
        "SELECT relname FROM pg_class WHERE relname LIKE '%user' AND relkind = 'r'"
    )
    assert tables == [("user",)]


def test_nothing_is_asked_when_it_is_refused_anyway(project: Project) -> None:
    project.write_models(f"{WITHOUT_NAME}    nickname: int\n")
    with pytest.raises(CommandError) as refused:
        project.revise(answers=["y", "y"])
    (shown,) = refused.value.__notes__
    assert "[y/N]" not in shown
    assert "    -x drop=user.full_name" in shown
    assert "    or give existing rows a value:    -x fill=user.nickname:VALUE" in shown


def test_all_questions_are_asked_on_the_terminal(project: Project) -> None:
    models = WITHOUT_NAME.replace("max_length=255", "max_length=9")
    project.write_models(models)
    revision = project.revise(answers=["yes", "y"])
    assert revision is not None
    assert len(re.findall("# DESTRUCTIVE: ", revision)) == 2
    assert project.output.count("Go ahead? [y/N]") == 2
