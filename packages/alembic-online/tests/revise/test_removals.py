"""What is only in the database goes if the developer says so, beside whatever else changes."""

from catalog import catalog
from project import Project
from revise.conftest import USER, migrate, needs_checks, start
from revise.test_risks import WITHOUT_NAME, refusal

# Made by hand, the name to answer with, and what the question says.
BY_HAND = [
    ('CREATE INDEX found ON "user" (lower(email))', "user.found", "index"),
    ('CREATE UNIQUE INDEX found_2 ON "user" (full_name)', "user.found_2", "unique index"),
    (
        'ALTER TABLE "user" ADD CONSTRAINT found_3 UNIQUE (full_name)',
        "user.found_3",
        "unique constraint",
    ),
    ('ALTER TABLE "user" ADD CONSTRAINT found_4 CHECK (id > 0)', "user.found_4", "CHECK"),
    (
        'ALTER TABLE "user" ADD CONSTRAINT found_5 FOREIGN KEY (id) REFERENCES "user"',
        "user.found_5",
        "foreign key",
    ),
    ("CREATE TYPE found_6 AS ENUM ('a', 'b')", "found_6", "type (a, b)"),
]
AGE = "    age: int | None = None\n"


@needs_checks
def test_what_was_made_by_hand_is_asked_about(project: Project) -> None:
    statements, subjects, _ = zip(*BY_HAND, strict=True)
    for statement in statements:
        project.execute(statement)
    before = catalog(project)
    message = refusal(project, USER + AGE)
    for _, subject, kind in BY_HAND:
        assert f"{subject}: drops the {kind}, which no model has" in message
        assert f"    -x drop={subject}\n" in message
    kept = project.revise(*(f"keep={subject}" for subject in subjects))
    assert kept is not None
    assert "found" not in kept
    project.revisions()[-1].unlink()
    revision = migrate(project, USER + AGE, *(f"drop={subject}" for subject in subjects))
    for _, subject, kind in BY_HAND:
        assert f"# DESTRUCTIVE: {subject}: drops the {kind}, which no model has" in revision
    assert "found" not in str(catalog(project))
    project.downgrade()
    assert catalog(project) == before


@needs_checks
def test_what_goes_with_a_column_or_table_is_not_asked_about(empty_project: Project) -> None:
    project = empty_project
    part = """
class Part(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="user.id", index=True)
    kind: str = Field(default="a", sa_type=sa.Enum("a", "b", name="kind"))

class Pair(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    part_id: int | None = Field(default=None, foreign_key="part.id")
"""
    arguments = """    __table_args__ = (
        sa.Index("one", sa.text("lower(full_name)")), sa.UniqueConstraint("full_name", "email"),
        sa.CheckConstraint("full_name <> email", name="two"),
    )
"""
    start(project, USER + arguments + part)
    before = catalog(project)
    pair = part[part.index("class Pair") :].replace(', foreign_key="part.id"', "")
    migrate(project, WITHOUT_NAME + pair, "drop=user.full_name", "drop=part")
    project.downgrade()
    assert catalog(project) == before


def test_what_is_replaced_by_the_same_or_more_is_not_asked_about(empty_project: Project) -> None:
    project = empty_project
    old, new = (
        f"""{USER}    __table_args__ = (
        sa.Index("{name}_a", "full_name"{unique}),
        sa.CheckConstraint("id {operator} 0", name="{name}_b"),
        sa.ForeignKeyConstraint(["id"], ["user.id"], name="{name}_c"),
    )
"""
        for name, unique, operator in (("old", "", ">"), ("new", ", unique=True", "OPERATOR(>)"))
    )
    start(project, old)
    revision = migrate(project, new)
    assert "DESTRUCTIVE" not in revision
    message = refusal(project, old)  # which is less than unique
    assert "user.new_a: drops the unique index" in message
    assert message.count("-x drop=") == 1
    project.downgrade()
