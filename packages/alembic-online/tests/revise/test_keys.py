"""A key or a generated column that differs is refused, with a recipe that works."""

import re
from typing import Any

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import needs_virtual, start
from revise.test_risks import refusal
from revise.test_turns import BASE, KEY, generated

ORDER = """
class Order(SQLModel, table=True):
    __tablename__ = "order 5%"
    __table_args__ = {{"schema": "shop"}}
    id: int = Field({id})
    code: int = Field({code})
"""
IS_KEY, IS_NONE = "primary_key=True", "default=0"
A = f"class A(SQLModel, table=True):\n{KEY}"
VIRTUAL = generated("half").replace("persisted=True", "persisted=False")
# Old and new columns, and what the refusal says of them.
GENERATED = {
    "expression": (
        generated("half"),
        generated("half").replace("% 2", "% 3"),
        "generated as (base % 2) STORED in the database, and generated as (base % 3) STORED",
    ),
    "no more": (
        generated("half"),
        "    half: int | None = None\n",
        "generated as (base % 2) STORED in the database, and not generated",
    ),
    "now": (
        "    half: int | None = None\n",
        generated("half"),
        "not generated in the database, and generated as (base % 2) STORED",
    ),
}


def follow(project: Project, message: str) -> None:
    """Write the revision that the refusal tells to write."""
    steps = re.findall(r"^ +(op\..*)$", message, re.MULTILINE)
    project.write_revision("\n".join(steps))
    project.upgrade()


def keys(project: Project) -> list[tuple[Any, ...]]:
    return project.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p'"
        " AND conname LIKE '%order%'"
    )


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ((IS_KEY, IS_NONE), (IS_KEY, IS_KEY), "(id) in the database, and (id, code) in the model"),
        ((IS_KEY, IS_NONE), (IS_NONE, IS_KEY), "(id) in the database, and (code) in the model"),
        ((IS_KEY, IS_KEY), (IS_KEY, IS_NONE), "(id, code) in the database, and (id) in the model"),
    ],
    ids=["extended", "moved", "reduced"],
)
def test_changed_key_is_refused_with_a_recipe(
    empty_project: Project, old: tuple[str, str], new: tuple[str, str], shown: str
) -> None:
    project = empty_project
    before, after = (ORDER.format(id=one, code=other) for one, other in (old, new))
    start(project, before)
    project.execute('INSERT INTO shop."order 5%" (id, code) VALUES (1, 2)')
    message = refusal(project, after)
    assert f"shop.order 5%: the primary key is {shown}" in message
    with pytest.raises(CommandError, match="by_hand"):
        project.check()
    follow(project, message)
    columns = shown.partition("and (")[2].partition(")")[0]
    assert keys(project) == [("pk_order 5%", f"PRIMARY KEY ({columns})")]
    assert "primary key" not in str(project.alembic("current"))
    project.revise()
    project.upgrade()
    project.check()
    assert project.rows('SELECT id, code FROM shop."order 5%"') == [(1, 2)]


def set_key(project: Project, columns: str) -> None:
    project.execute(
        'ALTER TABLE shop."order 5%" DROP CONSTRAINT "pk_order 5%",'
        f' ADD CONSTRAINT "pk_order 5%" PRIMARY KEY ({columns})'
    )


def test_key_that_is_wider_in_the_database_can_be_kept_by_its_name(empty_project: Project) -> None:
    project = empty_project
    start(project, ORDER.format(id=IS_KEY, code=IS_NONE))
    set_key(project, "code, id")
    project.ini.write_text(f"{project.ini.read_text()}unmanaged = shop.order*.pk_order*\n")
    with pytest.raises(CommandError) as refused:
        project.revise()
    assert "-x keep=shop.order 5%.pk_order 5% for now" in str(refused.value)
    kept = "keep=shop.order 5%.pk_order 5%"
    assert project.revise(kept) is None
    project.alembic("-x", kept, "check")
    set_key(project, "code")
    with pytest.raises(CommandError, match=r"the primary key is \(code\) in the database"):
        project.revise(kept)


def test_order_of_the_columns_of_a_key_is_no_difference(empty_project: Project) -> None:
    start(empty_project, ORDER.format(id=IS_KEY, code=IS_KEY))
    lines = ORDER.format(id=IS_KEY, code=IS_KEY).splitlines()
    empty_project.write_models("\n".join([*lines[:-2], lines[-1], lines[-2]]))
    empty_project.check()


@pytest.mark.parametrize(("old", "new", "shown"), GENERATED.values(), ids=GENERATED)
def test_changed_generated_column_is_refused_with_a_recipe(
    empty_project: Project, old: str, new: str, shown: str
) -> None:
    project = empty_project
    start(project, A + BASE + old)
    insert = "INSERT INTO a (base) VALUES (5) RETURNING half"
    message = refusal(project, A + BASE + new)
    assert f"a.half: it is {shown} in the model" in message
    follow(project, message)
    project.check()
    expected = None if "not generated in the model" in message else 5 % (3 if "% 3" in new else 2)
    assert project.scalar(insert) == expected


@needs_virtual
@pytest.mark.usefixtures("_needs_postgresql_18")
def test_generated_column_becomes_stored(empty_project: Project) -> None:
    start(empty_project, A + BASE + VIRTUAL)
    message = refusal(empty_project, A + BASE + generated("half"))
    assert "generated as (base % 2) in the database, and generated as (base % 2) STORED" in message
    follow(empty_project, message)
    empty_project.check()


def test_generated_column_in_other_words_is_the_same(empty_project: Project) -> None:
    start(empty_project, A + BASE + generated("half"))
    empty_project.write_models(A + BASE + generated("half").replace("base % 2", "((base) %(2))"))
    empty_project.check()
    assert empty_project.revise() is None
    assert "already matches the models" in empty_project.output


def test_changed_exclude_constraint_is_refused_with_a_recipe(empty_project: Project) -> None:
    project = empty_project
    model = f"""{A}    __table_args__ = ({{}})
    at: str | None = Field(default=None, sa_type=postgresql.TSRANGE)
"""
    exclude = 'postgresql.ExcludeConstraint(("at", "&&"){}, name="apart"),'
    start(project, model.format(exclude.format("")))
    assert project.revise() is None
    changed = exclude.format(", where=sa.text('id > 1')")
    for models, shown in (
        (model.format(changed), "EXCLUDE USING gist (at WITH &&) WHERE ((id > 1))"),
        (model.format(exclude.format("")), "EXCLUDE USING gist (at WITH &&)"),
    ):
        message = refusal(project, models)
        assert message.count("a.apart: the database has ") == 1
        assert f"and the model {shown}. " in message
        with pytest.raises(CommandError, match="by_hand"):
            project.check()
        follow(project, message)
        project.check()
    project.write_models(model.format(""))
    assert project.revise() is None
    assert "already matches" not in project.output
    assert "NOT COMPARED: a.apart: no model has EXCLUDE USING gist (at WITH &&)" in project.output
    assert project.revise("keep=a.apart") is None
    assert "already matches" in project.output
