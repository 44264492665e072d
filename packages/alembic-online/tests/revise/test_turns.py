"""What depends on something is made after it and goes before it, both ways."""

import pytest

from catalog import catalog
from project import Project
from revise.conftest import migrate, start

KEY = "    id: int | None = Field(default=None, primary_key=True)\n"
A = f"class A(SQLModel, table=True):\n{KEY}"
Z = f"class Z(SQLModel, table=True):\n{KEY}"
CODE = "    code: str | None = Field(default=None, unique=True)\n"

REFERRING = "    a_code: str | None = Field(default=None, foreign_key='a.code')\n"
PAIR = """    __table_args__ = (sa.UniqueConstraint("x", "y"),)
    x: int | None = None
    y: int | None = None
"""
REFERS_TO_PAIR = """    __table_args__ = (sa.ForeignKeyConstraint(["x", "y"], ["a.x", "a.y"]),)
    x: int | None = None
    y: int | None = None
"""


def generated(name: str, *, indexed: bool = False) -> str:
    column = f"sa.Column(sa.Integer, sa.Computed('base % 2', persisted=True), index={indexed})"
    return f"    {name}: int | None = Field(sa_column={column})\n"


BASE = "    base: int | None = None\n"
ARGUMENTS = """    __table_args__ = (
        sa.Index("i", sa.text("(base % 2)")), sa.Index("j", "id", "base"),
        sa.Index("k", "id", postgresql_where=sa.text("base > 0")),
        sa.Index("l", "id", postgresql_include=["base"]), sa.CheckConstraint("base > id", name="c"),
    )
"""
# The models without, and with, what is added and then dropped, and the answers to the drop.
TURNS = {
    "unique column and the class that refers to it": (
        A,
        A + CODE + Z + REFERRING,
        ["drop=a.code", "drop=z"],
    ),
    "unique column and the column that refers to it": (
        A + Z,
        A + CODE + Z + REFERRING,
        ["drop=a.code", "drop=z.a_code"],
    ),
    "unique column and the column before it that refers to it": (
        Z.replace("Z(", "B(") + A.replace("A(", "C("),
        Z.replace("Z(", "B(")
        + REFERRING.replace("a.code", "c.code")
        + A.replace("A(", "C(")
        + CODE,
        ["drop=c.code", "drop=b.a_code"],
    ),
    "unique pair and the class that refers to it": (
        A,
        A + PAIR + Z + REFERS_TO_PAIR,
        ["drop=a.x", "drop=a.y", "drop=z"],
    ),
    "both classes": ("", A + CODE + Z + REFERRING, ["drop=a", "drop=z"]),
    "column and the generated one before it": (
        A,
        A + generated("above") + BASE,
        ["drop=a.base", "drop=a.above"],
    ),
    "column and the generated one after it": (
        A,
        A + BASE + generated("within", indexed=True),
        ["drop=a.base", "drop=a.within"],
    ),
    "column and the indexes and checks that use it": (
        A,
        A + ARGUMENTS + BASE,
        ["drop=a.base"],
    ),
}


@pytest.mark.parametrize(("without", "having", "answers"), TURNS.values(), ids=TURNS)
def test_upgrade_and_downgrade_run_in_an_order_that_works(
    empty_project: Project, without: str, having: str, answers: list[str]
) -> None:
    project = empty_project
    start(project, f"{A.replace('A(', 'Y(')}{without}")
    project.execute("INSERT INTO y DEFAULT VALUES")
    with_models, without_models = (
        f"{A.replace('A(', 'Y(')}{models}" for models in (having, without)
    )
    before = catalog(project)
    rewrites = [f"rewrite=a.{name}" for name in ("above", "within") if f" {name}:" in having]
    migrate(project, with_models, *rewrites)
    between = catalog(project)
    migrate(project, without_models, *answers)
    assert catalog(project) == before
    project.downgrade()
    assert catalog(project) == between
    project.downgrade()
    assert catalog(project) == before
    project.upgrade()
    project.check()
