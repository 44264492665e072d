"""What no model has, but depends on what changes, is found at revision time and named."""

import re

import pytest

from catalog import catalog
from project import Project
from revise.conftest import USER, migrate, start
from revise.test_risks import WITHOUT_NAME, refusal

LONGER = USER.replace("default=None, max_length=255", "default=None, max_length=300")
OTHER = "class Other(SQLModel, table=True):\n    x: str | None = Field(primary_key=True)\n"
NEW_ROW = "LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$"
# What is made, of which the last depends on "user".full_name, and how the refusal names it.
DEPENDENTS = {
    "view": (['CREATE VIEW v AS SELECT full_name FROM "user"'], "view public.v"),
    "materialized view": (
        ["CREATE MATERIALIZED VIEW v AS SELECT id FROM \"user\" WHERE full_name > ''"],
        "materialized view public.v",
    ),
    "rule": (
        [
            "CREATE TABLE other (x varchar PRIMARY KEY)",
            'CREATE RULE v AS ON INSERT TO other DO ALSO UPDATE "user" SET full_name = NEW.x',
        ],
        "rule v on public.other",
    ),
    "policy": (
        ['CREATE POLICY v ON "user" USING (full_name = current_user)'],
        'policy v on public."user"',
    ),
    "trigger": (
        [
            f"CREATE FUNCTION f() RETURNS trigger {NEW_ROW.format('')}",
            """CREATE TRIGGER v BEFORE UPDATE OF full_name ON "user"
               FOR EACH ROW EXECUTE FUNCTION f()""",
        ],
        'trigger v on public."user"',
    ),
    "function": (
        [
            """CREATE FUNCTION v() RETURNS text LANGUAGE sql
               BEGIN ATOMIC SELECT min(full_name) FROM "user"; END"""
        ],
        "function public.v()",
    ),
}


def follow(project: Project, message: str) -> None:
    """Take away by a revision what the refusal says."""
    project.write_revision("\n".join(re.findall(r"^ +(op\..*)$", message, re.MULTILINE)))
    project.upgrade()


@pytest.mark.parametrize(("made", "named"), DEPENDENTS.values(), ids=DEPENDENTS)
def test_dependent_of_a_column_is_named(project: Project, made: list[str], named: str) -> None:
    for statement in made:
        project.execute(statement)
    tables = OTHER if "other" in named else ""
    for models, verb in ((LONGER, "changed"), (WITHOUT_NAME, "dropped")):
        message = refusal(project, models + tables, "drop=user.full_name")
        assert f"user.full_name cannot be {verb} while others depend on it: {named}" in message
    follow(project, message)
    revision = migrate(project, WITHOUT_NAME + tables, "drop=user.full_name")
    assert "op.drop_column('user', 'full_name')" in revision
    project.downgrade()
    assert project.rows('SELECT id, full_name FROM "user" ORDER BY id') == [(1, None), (2, None)]


def test_dependents_of_a_table_and_of_a_constraint_are_named(empty_project: Project) -> None:
    project = empty_project
    start(project, USER)
    project.execute("CREATE SCHEMA apart")
    project.execute('CREATE TABLE apart.pet (owner varchar REFERENCES "user" (email))')
    project.execute('CREATE VIEW apart.v AS SELECT * FROM "user"')
    project.execute('CREATE FUNCTION f() RETURNS SETOF "user" LANGUAGE sql AS \'TABLE "user"\'')
    message = refusal(project, "", "drop=user")
    assert (
        "user cannot be dropped while others depend on it: function public.f(), table constraint"
        " pet_owner_fkey on apart.pet, view apart.v." in message
    )
    without = USER.replace("unique=True, ", "")
    message = refusal(project, without, "drop=user.uq_user_email")
    assert "user.uq_user_email cannot be dropped while others depend on it: table cons" in message
    follow(project, message)
    migrate(project, without, "drop=user.uq_user_email")
    project.downgrade()
    project.upgrade()
    follow(project, refusal(project, "", "drop=user"))
    migrate(project, "", "drop=user")
    project.downgrade()


def test_generated_column_that_stays_is_named(project: Project) -> None:
    column = "sa.Column(sa.Integer, sa.Computed('length(full_name)', persisted=True))"
    size = f"    size: int | None = Field(sa_column={column})\n"
    migrate(project, USER + size, "rewrite=user.size")
    broken = WITHOUT_NAME + size
    assert 'default value for public."user".size' in refusal(project, broken, "drop=user.full_name")


def test_trigger_function_that_names_a_column_is_asked_about(project: Project) -> None:
    body = "NEW.full_name := upper(NEW.Full_Name);"
    project.execute(
        f"CREATE FUNCTION f() RETURNS trigger {NEW_ROW.format(body)}".replace(":", r"\:")
    )
    project.execute('CREATE TRIGGER up BEFORE INSERT ON "user" FOR EACH ROW EXECUTE FUNCTION f()')
    asked = "user.up: its function f() names full_name, and may fail afterwards"
    renamed = USER.replace("full_name", "name")
    for models, answer in (
        (WITHOUT_NAME, "drop=user.full_name"),
        (renamed, "rename=user.full_name:name"),
        (LONGER, "break=user.other"),
    ):
        message = refusal(project, models, answer)
        assert asked in message
        assert "    -x break=user.up" in message
    revision = migrate(project, LONGER, "break=user.up")
    assert f"# BREAKING: {asked}" in revision
    project.downgrade()
    project.upgrade()
    migrate(project, f"{LONGER}    age: int | None = None\n")  # which concerns nobody


MODEL_OF_VIEW = """
class Name(SQLModel, table=True):
    __tablename__ = "name"
    id: int = Field(primary_key=True)
    kind: str = Field(sa_type=sa.Enum("a", "b", name="kind"), index=True)
"""


@pytest.mark.parametrize("view", ["VIEW", "MATERIALIZED VIEW"])
def test_model_of_a_view_is_no_new_table(project: Project, view: str) -> None:
    project.execute("CREATE TYPE kind AS ENUM ('a', 'b')")
    project.execute(f"CREATE {view} name AS SELECT id, CAST('a' AS kind) AS kind FROM \"user\"")
    before = catalog(project)
    project.write_models(USER + MODEL_OF_VIEW)
    project.check()
    assert project.revise() is None
    revision = migrate(project, f"{USER}    age: int | None = None\n{MODEL_OF_VIEW}")
    assert "create_table" not in revision
    project.downgrade()
    assert catalog(project) == before


def test_model_of_a_view_on_sqlite_is_no_new_table(sqlite_project: Project) -> None:
    sqlite_project.execute('CREATE VIEW name AS SELECT id, email AS kind FROM "user"')
    sqlite_project.write_models(USER + MODEL_OF_VIEW)
    sqlite_project.check()
