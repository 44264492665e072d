from typing import NamedTuple

import pytest

from alembic_online import find_unfinished
from catalog import catalog
from project import Project
from upgrade.processes import run_killed

# What stands in the tables, in a form that can be compared.
ROWS = """
    SELECT md5(string_agg(to_jsonb({table})::text, ',' ORDER BY id)) FROM {table}
""".replace(":", "\\:")


class Revision(NamedTuple):
    upgrade: str
    downgrade: str
    models: str
    before: str = "pass"  # an earlier revision


COLUMN_FOREIGN_KEY_INDEX = Revision(
    """
    op.add_column("pet", sa.Column("nickname", sa.String(20), nullable=False, server_default="x"))
    op.execute("UPDATE pet SET age = age + 1")
    op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"])
    op.create_index("ix_pet_age", "pet", ["age"])
    """,
    """
    op.drop_index("ix_pet_age", "pet")
    op.drop_constraint("fk_pet_owner_id", "pet", type_="foreignkey")
    op.execute("UPDATE pet SET age = age - 1")
    op.drop_column("pet", "nickname")
    """,
    """
    class Account(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        email: str | None = Field(max_length=100)
        name: str | None = Field(max_length=100)

    class Pet(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        owner_id: int | None = Field(foreign_key="account.id")
        age: int | None = Field(index=True)
        nickname: str = Field(max_length=20, sa_column_kwargs={"server_default": "x"})
    """,
)
NOT_NULL_UNIQUE_REDEFINED = Revision(
    """
    op.alter_column("account", "email", nullable=False)
    op.create_unique_constraint("uq_account_email", "account", ["email"])
    op.create_check_constraint(op.f("age_new"), "pet", "age >= 0")
    op.create_index("found_new", "pet", ["owner_id", "age"])
    op.drop_constraint(op.f("age"), "pet", type_="check")
    op.execute("ALTER TABLE pet RENAME CONSTRAINT age_new TO age")
    op.execute("ALTER INDEX found RENAME TO found_old")
    op.execute("ALTER INDEX found_new RENAME TO found")
    op.drop_index("found_old", "pet")
    """,
    """
    op.create_index("found_new", "pet", ["owner_id"])
    op.create_check_constraint(op.f("age_new"), "pet", "age > -9")
    op.execute("ALTER INDEX found RENAME TO found_old")
    op.execute("ALTER INDEX found_new RENAME TO found")
    op.drop_index("found_old", "pet")
    op.drop_constraint(op.f("age"), "pet", type_="check")
    op.execute("ALTER TABLE pet RENAME CONSTRAINT age_new TO age")
    op.drop_constraint("uq_account_email", "account", type_="unique")
    op.alter_column("account", "email", nullable=True)
    """,
    """
    class Account(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        email: str = Field(max_length=100, unique=True)
        name: str | None = Field(max_length=100)

    class Pet(SQLModel, table=True):
        __table_args__ = (
            sa.CheckConstraint("age >= 0", name=sa.schema.conv("age")),
            sa.Index("found", "owner_id", "age"),
        )
        id: int | None = Field(default=None, primary_key=True)
        owner_id: int | None
        age: int | None
    """,
    """
    op.create_check_constraint(op.f("age"), "pet", "age > -9")
    op.create_index("found", "pet", ["owner_id"])
    """,
)
RENAME_ENUM_INDEX = Revision(
    """
    op.alter_column("account", "name", new_column_name="full_name")
    sa.Enum("free", "paid", name="plan").create(op.get_bind())
    plan = sa.Enum("free", "paid", name="plan", create_type=False)
    op.add_column("account", sa.Column("plan", plan, nullable=False, server_default="free"))
    op.create_index("ix_account_plan", "account", ["plan"])
    """,
    """
    op.drop_index("ix_account_plan", "account")
    op.drop_column("account", "plan")
    sa.Enum(name="plan").drop(op.get_bind())
    op.alter_column("account", "full_name", new_column_name="name")
    """,
    """
    Plan = enum.StrEnum("Plan", ["free", "paid"])

    class Account(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        email: str | None = Field(max_length=100)
        full_name: str | None = Field(max_length=100)
        plan: Plan = Field(index=True, sa_column_kwargs={"server_default": "free"})

    class Pet(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        owner_id: int | None
        age: int | None
    """,
)
BRIDGE = """
    op.add_column("account", sa.Column("address", sa.String(100)))
    op.bridge_columns("account", "email", "address")
    op.backfill("account", {"address": sa.text("email")},
                where=sa.text("address IS NULL AND email IS NOT NULL"))
    op.rename_table("pet", "animal")
    op.bridge_table("pet", "animal")
"""
UNBRIDGE = """
    op.drop_table_bridge("pet")
    op.rename_table("animal", "pet")
    op.drop_column_bridge("account", "address")
    op.drop_column("account", "address")
"""
BRIDGED = """
    class Account(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        address: str | None = Field(max_length=100)
        name: str | None = Field(max_length=100)

    class Animal(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        owner_id: int | None
        age: int | None
"""
EXPAND = Revision(
    BRIDGE,
    UNBRIDGE,
    BRIDGED.replace(
        "        name:", "        email: str | None = Field(max_length=100)\n        name:"
    ),
)
CONTRACT = Revision(
    """
    op.require_filled("account", "address", "email")
    op.drop_table_bridge("pet")
    op.drop_column_bridge("account", "address")
    op.drop_column("account", "email")
    """,
    """
    op.add_column("account", sa.Column("email", sa.String(100)))
    op.bridge_columns("account", "email", "address")
    op.backfill("account", {"email": sa.text("address")},
                where=sa.text("email IS NULL AND address IS NOT NULL"))
    op.bridge_table("pet", "animal")
    """,
    BRIDGED,
    BRIDGE,
)
REVISIONS = {
    "column": COLUMN_FOREIGN_KEY_INDEX,
    "redefined": NOT_NULL_UNIQUE_REDEFINED,
    "rename": RENAME_ENUM_INDEX,
}
BRIDGES = {"expand": EXPAND, "contract": CONTRACT}


def each_of(revisions: dict[str, Revision]) -> pytest.MarkDecorator:
    """Take the first of them in each run of the tests, and the others in long ones."""
    (name, first), *others = revisions.items()
    return pytest.mark.parametrize(
        "revision",
        [
            pytest.param(first, id=name),
            *(pytest.param(other, id=name, marks=pytest.mark.long) for name, other in others),
        ],
    )


def contents(project: Project) -> list[object]:
    tables = project.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'alembic_version'"
        " AND relnamespace = 'public'::regnamespace ORDER BY 1".replace(":", "\\:")
    )
    rows = [project.rows(ROWS.format(table=name)) for (name,) in tables]
    return [*catalog(project), *rows]


def unfinished(project: Project) -> list[str]:
    with project.connect() as connection:
        return find_unfinished(connection)


def begin(project: Project, revision: Revision) -> tuple[str, list[object]]:
    """Bring the database to where the revision begins; return the one before it, and what is."""
    start = project.write_revision(revision.before)
    project.upgrade()
    before = contents(project)
    project.write_revision(revision.upgrade, revision.downgrade)
    return start, before


@each_of(REVISIONS | BRIDGES)
def test_upgrade_killed_before_each_statement_is_finished_by_the_next(
    project: Project, revision: Revision
) -> None:
    _, before = begin(project, revision)
    project.write_models(revision.models)
    project.upgrade()
    project.check()
    complete, statement = contents(project), 1
    project.downgrade()
    while run_killed(project.ini, statement, "upgrade", "head"):
        project.upgrade()
        assert contents(project) == complete
        assert unfinished(project) == []
        project.downgrade()
        assert contents(project) == before
        statement += 1
    assert contents(project) == complete
    assert statement > 4


@each_of(REVISIONS)
def test_downgrade_finishes_an_upgrade_killed_before_any_statement(
    project: Project, revision: Revision
) -> None:
    start, before = begin(project, revision)
    statement = 1
    while run_killed(project.ini, statement, "upgrade", "head"):
        if unfinished(project):
            project.downgrade("-1")
        assert contents(project) == before
        assert project.scalar("SELECT version_num FROM alembic_version") == start
        statement += 1
    assert statement > 4


@each_of(REVISIONS | {"contract": CONTRACT})
def test_downgrade_killed_before_each_statement_is_finished_by_the_next(
    project: Project, revision: Revision
) -> None:
    start, before = begin(project, revision)
    project.upgrade()
    complete, statement = contents(project), 1
    while run_killed(project.ini, statement, "downgrade", "-1"):
        project.downgrade("-1")  # completes the first, and undoes no second revision
        assert project.scalar("SELECT version_num FROM alembic_version") == start
        assert contents(project) == before
        assert unfinished(project) == []
        project.upgrade()
        assert contents(project) == complete
        statement += 1
    assert contents(project) == before
    assert statement > 4
