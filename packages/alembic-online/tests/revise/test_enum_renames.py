"""Enum types and members that get another name, and columns that get another enum type."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate

COLUMNS = """
    color: Color = Color.RED
    colors: list[Color] = Field([], sa_type=postgresql.ARRAY(sa.Enum(Color, name="color")))
"""


def models(*members: str, name: str = "Color", columns: str = COLUMNS) -> str:
    lines = "".join(f"    {member} = {value!r}\n" for member, value in map(str.split, members))
    enum = f"class {name}(str, enum.Enum):\n{lines}"
    return enum + USER + columns.replace("Color", name).replace('"color"', f'"{name.lower()}"')


def colors(project: Project) -> list[tuple[object, ...]]:
    query = 'SELECT color::text, colors::text[] FROM "user" ORDER BY id'
    return [*project.rows(query), *project.rows("SELECT enum_range(NULL::color)::text[]")]


@pytest.fixture
def colored(project: Project) -> Project:
    migrate(project, models("RED red", "BLUE blue"))
    project.execute("""UPDATE "user" SET color = 'BLUE', colors = '{BLUE,RED}' WHERE id = 2""")
    return project


BEFORE = [("RED", []), ("BLUE", ["BLUE", "RED"]), (["RED", "BLUE"],)]


def test_renamed_class_renames_the_type(colored: Project) -> None:
    colored.write_models(models("RED red", "BLUE blue", name="Colour"))
    with pytest.raises(CommandError) as refused:
        colored.revise()
    assert "color is gone and colour is new" in str(refused.value)
    assert 'sa.Enum(..., name="color")' in str(refused.value)
    assert "    -x rename=color:colour" in str(refused.value)
    filenode = """SELECT pg_relation_filenode('"user"')"""
    before = colored.scalar(filenode)
    changed = models("RED red", "BLUE blue", "TEAL teal", name="Colour")
    revision = migrate(colored, changed, "rename=color:colour")
    assert "ALTER TYPE color RENAME TO colour" in revision
    assert "BREAKING: color becomes colour" in revision
    assert "rename type color to colour" in colored.output
    assert colored.scalar(filenode) == before
    colored.downgrade()
    assert colors(colored) == BEFORE


@pytest.mark.parametrize(
    ("after", "extra", "sql"),
    [
        # The value tells, though more members come and go.
        (("CRIMSON red", "BLUE blue", "TEAL teal"), "RED:CRIMSON", "'RED' TO 'CRIMSON'"),
        # The only one gone and the only one new.
        (("ROT rot", "BLUE blue"), "RED:ROT", "'RED' TO 'ROT'"),
    ],
)
def test_renamed_member_keeps_its_rows(
    colored: Project, after: tuple[str, ...], extra: str, sql: str
) -> None:
    changed = models(*after).replace("Color.RED", "Color.BLUE")
    colored.write_models(changed)
    with pytest.raises(CommandError, match=f"-x rename=color.{extra}") as refused:
        colored.revise()
    assert "-x drop=color.RED" in str(refused.value)
    revision = migrate(colored, changed, f"rename=color.{extra}")
    assert f"RENAME VALUE {sql}" in revision
    assert "sync_enum" not in revision.partition("def downgrade")[0]
    name = extra.partition(":")[2]
    assert colors(colored)[:2] == [(name, []), ("BLUE", ["BLUE", name])]
    colored.downgrade()
    assert colors(colored) == BEFORE


def test_rename_of_type_member_and_table_at_once(colored: Project) -> None:
    colored.write_models(
        models("CRIMSON red", "BLUE blue", name="Colour")
        .replace("Colour.RED", "Colour.CRIMSON")
        .replace("class User", "class Account")
    )
    assert colored.revise(answers=["y"] * 3) is not None
    colored.upgrade()
    colored.check()
    assert colored.rows("SELECT color::text FROM account ORDER BY id") == [("CRIMSON",), ("BLUE",)]
    colored.downgrade()
    assert colors(colored) == BEFORE


def test_members_in_arrays_are_counted(colored: Project) -> None:
    colored.execute("""UPDATE "user" SET color = 'RED', colors = '{RED,BLUE}'""")
    colored.write_models(models("RED red"))
    with pytest.raises(CommandError, match=r"user\.colors: .*without BLUE \(2 rows use it"):
        colored.revise()
    assert colored.revise("rewrite=user.colors", "rewrite=user.color") is not None
    with pytest.raises(CommandError, match=r"of user\.colors do not .*: \"BLUE\""):
        colored.upgrade()
    assert colors(colored)[2:] == BEFORE[2:]
    colored.execute("""UPDATE "user" SET colors = '{RED}'""")
    colored.upgrade()
    colored.check()
    colored.downgrade()
    assert colors(colored)[2:] == BEFORE[2:]


TWO = """
class Color(enum.Enum):
    RED = 1
    BLUE = 2

class Tint(enum.Enum):
    RED = 1
    BLUE = 2
    TEAL = 3
"""
RETYPED = [
    ("Color | None = None", "Tint | None = None"),
    ("str | None = None", "Color | None = None"),
    ("Color | None = None", "str | None = None"),
    ("Color | None = None", "str | None = Field(None, max_length=4)"),
    (
        "list[Color] | None = Field(None, sa_type=postgresql.ARRAY(sa.Enum(Color)))",
        "list[Tint] | None = Field(None, sa_type=postgresql.ARRAY(sa.Enum(Tint)))",
    ),
    ("int | None = None", "str | None = None"),
]


@pytest.mark.parametrize(("before", "after"), RETYPED)
def test_retyped_column_has_its_way_back(project: Project, before: str, after: str) -> None:
    user = f"{USER}    {{}}: {{}}\n    was: Color | None = None\n    will: Tint | None = None\n"
    migrate(project, TWO + user.format("Order", before))
    value = "'{RED}'" if "list" in before else "'1'" if "int" in before else "'RED'"
    project.execute(f'UPDATE "user" SET "Order" = {value} WHERE id = 1')
    rows = project.rows('SELECT "Order"::text FROM "user" ORDER BY id')
    migrate(project, TWO + user.format("Order", after), "rewrite=user.Order")
    assert project.rows('SELECT "Order"::text FROM "user" ORDER BY id') == rows
    project.downgrade()
    assert project.rows('SELECT "Order"::text FROM "user" ORDER BY id') == rows
    project.write_models(TWO + user.format("Order", before))
    (project.versions / project.revisions()[-1]).unlink()
    project.check()


def test_downgrade_that_rows_refuse_names_the_column(project: Project) -> None:
    migrate(project, f"{TWO}{USER}    value: Color | None = None\n")
    migrate(project, f"{TWO}{USER}    value: str | None = None\n", "rewrite=user.value")
    project.execute("""UPDATE "user" SET value = 'pink' WHERE id = 1""")
    with pytest.raises(CommandError, match=r"Existing rows of user\.value do not"):
        project.downgrade()
