"""A constraint or index that is redefined binds the rows all the time: the old one, or the new."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from catalog import catalog
from project import Project
from revise.conftest import migrate, start

SEAT = """
class Hall(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)

class Seat(SQLModel, table=True):
    __table_args__ = ({arguments})
    id: int | None = Field(default=None, primary_key=True)
    hall: int | None = None
    row: int | None = None{row}
"""
Definition = str

# Old and new definition, two rows that only the old allows, and two that only the new allows.
REDEFINED: dict[str, tuple[Definition, Definition, str, str]] = {
    "unique, fewer columns": (
        'sa.UniqueConstraint("hall", "row", name="one"),',
        'sa.UniqueConstraint("hall", name="one"),',
        "(1, 1), (1, 2)",
        "",
    ),
    "unique, other column": (
        'sa.UniqueConstraint("hall", name="one"),',
        'sa.UniqueConstraint("row", name="one"),',
        "(1, 1), (2, 1)",
        "(1, 1), (1, 2)",
    ),
    "unique, NULLs too": (
        'sa.UniqueConstraint("hall", name="one"),',
        'sa.UniqueConstraint("hall", name="one", postgresql_nulls_not_distinct=True),',
        "(NULL, 1), (NULL, 2)",
        "",
    ),
    "index becomes unique": (
        'sa.Index("one", "hall"),',
        'sa.Index("one", "hall", unique=True),',
        "(1, 1), (1, 2)",
        "",
    ),
    "unique index, other column": (
        'sa.Index("one", "hall", unique=True),',
        'sa.Index("one", "row", unique=True),',
        "(1, 1), (2, 1)",
        "(1, 1), (1, 2)",
    ),
    "unique index becomes a constraint": (
        'sa.Index("one", "hall", "row", unique=True),',
        'sa.UniqueConstraint("hall", name="one"),',
        "(1, 1), (1, 2)",
        "",
    ),
    "unique constraint becomes an index": (
        'sa.UniqueConstraint("hall", "row", name="one"),',
        'sa.Index("one", "hall", unique=True),',
        "(1, 1), (1, 2)",
        "",
    ),
    "check": (
        'sa.CheckConstraint("hall < 9", name="one"),',
        'sa.CheckConstraint("hall > 1", name="one"),',
        "(1, 1), (1, 2)",
        "(9, 1), (9, 2)",
    ),
    "foreign key": (
        'sa.ForeignKeyConstraint(["hall"], ["hall.id"], name="one"),',
        'sa.ForeignKeyConstraint(["row"], ["hall.id"], name="one"),',
        "(1, 7), (2, 7)",
        "(7, 1), (7, 2)",
    ),
}


def rules(project: Project) -> list[str]:
    return [line for line in catalog(project) if "one" in line]


def put(project: Project, rows: str) -> None:
    project.execute(f"INSERT INTO seat (hall, row) VALUES {rows}")


@pytest.mark.parametrize(("old", "new", "bad", "good"), REDEFINED.values(), ids=REDEFINED)
def test_redefined_rule_is_proven_before_the_old_one_goes(
    empty_project: Project, old: Definition, new: Definition, bad: str, good: str
) -> None:
    project = empty_project
    start(project, SEAT.format(arguments=old, row=""))
    project.execute("INSERT INTO hall VALUES (1), (2), (9)")
    before = rules(project)
    put(project, bad)
    project.write_models(SEAT.format(arguments=new, row=""))
    assert project.revise() is not None
    with pytest.raises(CommandError, match="Existing rows of seat do not allow this change"):
        project.upgrade()
    assert rules(project) == before
    project.execute("DELETE FROM seat")
    project.upgrade()
    project.check()
    with pytest.raises(sa.exc.IntegrityError):
        put(project, bad)
    after = rules(project)
    if good:
        put(project, good)
        with pytest.raises(CommandError, match="Existing rows of seat do not allow this change"):
            project.downgrade()
        assert rules(project) == after
        project.execute("DELETE FROM seat")
    project.downgrade()
    assert rules(project) == before


def test_unique_column_is_unique_all_the_time(empty_project: Project) -> None:
    """The index of `index=True, unique=True` takes the place of the constraint of `unique=True`."""
    unique, indexed = (
        SEAT.format(arguments="", row=f"\n    code: int = Field({arguments})")
        for arguments in ("unique=True", "index=True, unique=True")
    )
    start(empty_project, unique)
    revision = migrate(empty_project, indexed)
    assert revision.index("op.create_index") < revision.index("op.drop_constraint")
    downgrade = revision.partition("def downgrade")[2]
    assert downgrade.index("op.create_unique_constraint") < downgrade.index("op.drop_index")
    empty_project.downgrade()


def test_swap_is_one_transaction(empty_project: Project) -> None:
    start(empty_project, SEAT.format(arguments=REDEFINED["check"][0], row=""))
    empty_project.write_models(SEAT.format(arguments=REDEFINED["check"][1], row=""))
    empty_project.revise()
    head = empty_project.revisions()
    sql = empty_project.alembic("upgrade", f"{head[0].stem}:head", "--sql")
    before, _, after = sql.partition("DROP CONSTRAINT ck_seat_one;")
    assert "VALIDATE CONSTRAINT ck_seat_one_new;" in before
    swap, renamed, _ = after.partition("RENAME CONSTRAINT ck_seat_one_new TO ck_seat_one;")
    assert renamed
    assert "COMMIT" not in swap


def test_rows_that_a_redefined_rule_refuses_are_counted(empty_project: Project) -> None:
    old, new, bad, _ = REDEFINED["unique, NULLs too"]
    start(empty_project, SEAT.format(arguments=old, row=""))
    put(empty_project, bad)
    empty_project.write_models(SEAT.format(arguments=new, row=""))
    empty_project.revise()
    assert "add unique constraint one_new (STOPS: 1 value more than once)" in empty_project.output
