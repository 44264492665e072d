"""CHECKs in each way that SQLAlchemy has to write one are compared with what PostgreSQL stores."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from project import CONVENTION, Project
from revise.conftest import USER, migrate, needs_checks

KEY = "id: int | None = Field(default=None, primary_key=True)"
OF_COLUMN = f"""
class A(SQLModel, table=True):
    {KEY}
    n: int

sa.CheckConstraint(A.__table__.c.n %s, name="pos")
"""
INLINE = f"""
class A(SQLModel, table=True):
    {KEY}
    n: int = Field(sa_column=sa.Column(sa.Integer, sa.CheckConstraint("n %s", name="pos")))
"""
ON_TYPE = f"""
class A(SQLModel, table=True):
    {KEY}
    n: str = Field(
        sa_type=sa.Enum(%s, name="pos", native_enum=False, create_constraint=True, length=9)
    )
"""
# A way to write it, an old and a new condition, a value that both allow, and one only the new.
CHECKS = {
    "of a column": (OF_COLUMN, "> 0", "> -9", "1", "-1"),
    "in a column": (INLINE, "> 0", "> -9", "1", "-1"),
    "modulo": (OF_COLUMN, "% 2 == 1", "% 3 == 1", "1", "4"),
    "of an enum": (ON_TYPE, "'a', 'b%'", "'a', 'b%', 'c:d'", "'a'", "'c:d'"),
}


def insert(project: Project, value: str) -> None:
    project.execute(f"INSERT INTO a (n) VALUES ({value})".replace(":", r"\:"))


@pytest.mark.parametrize("named", [True, False], ids=["convention", "no convention"])
@pytest.mark.parametrize(("model", "old", "new", "fine", "better"), CHECKS.values(), ids=CHECKS)
def test_check_is_made_compared_and_changed(  # noqa: PLR0913, PLR0917  # a row of the table
    empty_project: Project, model: str, old: str, new: str, fine: str, better: str, *, named: bool
) -> None:
    project, convention = empty_project, CONVENTION if named else None
    for condition in (old, new):
        project.write_models(model % condition, convention=convention)
        assert project.revise(message=condition) is not None
        project.upgrade()
        project.check()
        assert project.revise() is None
        insert(project, fine)
        if condition == old:
            with pytest.raises(sa.exc.IntegrityError):
                insert(project, better)
    insert(project, better)
    with pytest.raises(CommandError, match="Existing rows of a do not allow this change"):
        project.downgrade()
    project.execute(f"DELETE FROM a WHERE n = {better}".replace(":", r"\:"))
    project.downgrade()
    with pytest.raises(sa.exc.IntegrityError):
        insert(project, better)


def test_check_of_a_type_that_the_database_has_is_none(empty_project: Project) -> None:
    """PostgreSQL has booleans and enums, so `create_constraint` makes no CHECK there."""
    flag, mood = (
        f"{kind}, name='{name}', create_constraint=True)"
        for kind, name in (("sa.Boolean(", "flag"), ("sa.Enum('a', 'b'", "mood"))
    )
    migrate(
        empty_project,
        f"""
class A(SQLModel, table=True):
    {KEY}
    flag: bool = Field(sa_type={flag.replace("(, ", "(")})
    mood: str = Field(sa_type={mood})
""",
    )
    assert empty_project.revise() is None
    empty_project.downgrade()


def test_check_of_a_type_on_sqlite(sqlite_project: Project) -> None:
    models = (ON_TYPE % "'a', 'b%'").replace("native_enum=False, ", "")
    migrate(sqlite_project, USER + models)
    assert sqlite_project.revise() is None
    with pytest.raises(sa.exc.IntegrityError):
        insert(sqlite_project, "'c'")
    sqlite_project.downgrade()


@needs_checks
def test_check_without_a_name_gets_the_one_that_postgresql_gives(empty_project: Project) -> None:
    empty_project.execute(
        "CREATE TABLE a (id serial PRIMARY KEY, n int NOT NULL CHECK (n > 0), CHECK (n > 1),"
        " CHECK (n > id))"
    )
    model = (
        (OF_COLUMN % "> 0").replace(', name="pos"', "")
        + """
sa.CheckConstraint(A.__table__.c.n > 1)
sa.CheckConstraint(A.__table__.c.n > A.__table__.c.id)
"""
    )
    empty_project.write_models(model, convention=None)
    empty_project.check()
    empty_project.write_models(
        model + "\nsa.CheckConstraint(A.__table__.c.n > 2)\n", convention=None
    )
    revision = empty_project.revise()
    assert revision is not None
    assert "create_check_constraint(op.f('a_n_check2'), 'a', 'n > 2')" in revision
    empty_project.upgrade()
    empty_project.check()
    empty_project.downgrade()
