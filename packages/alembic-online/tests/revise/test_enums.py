"""Enum types are created, extended and dropped with the columns that use them."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate


def plan(members: str, column: str = "plan: Plan = Plan.free") -> str:
    lines = "".join(f"    {member} = {member!r}\n" for member in members.split())
    return f"class Plan(str, enum.Enum):\n{lines}{USER}    {column}\n"


def members(project: Project) -> list[str]:
    found = project.rows("SELECT unnest(enum_range(NULL::plan))::text")
    return [str(member) for (member,) in found]


def test_enum_column_brings_its_type_and_takes_it_away(project: Project) -> None:
    revision = migrate(project, plan("free pro"))
    assert "sqlmodel" not in revision
    assert project.rows('SELECT plan FROM "user"') == [("free",)] * 2
    project.downgrade()
    assert project.rows("SELECT typname FROM pg_type WHERE typname = 'plan'") == []
    project.upgrade()


def test_table_with_enum_is_created_and_dropped(project: Project) -> None:
    table = (
        "\nclass Account(SQLModel, table=True):\n"
        "    id: int | None = Field(default=None, primary_key=True)\n    plan: Plan\n"
    )
    migrate(project, plan("free pro") + table)
    project.execute("INSERT INTO account (plan) VALUES ('pro')")
    project.downgrade()
    project.upgrade()
    project.downgrade()


@pytest.mark.parametrize("after", ["free mid pro", "new free pro", "free pro a b"])
def test_member_is_added_in_its_place(project: Project, after: str) -> None:
    migrate(project, plan("free pro"))
    migrate(project, plan(after))
    assert members(project) == after.split()
    project.downgrade()
    assert members(project) == ["free", "pro"]
    assert project.rows('SELECT plan FROM "user"') == [("free",)] * 2


def test_added_member_can_be_the_default_at_once(project: Project) -> None:
    migrate(project, plan("free pro"))
    migrate(project, plan("free pro mid", "plan: Plan = Plan.mid"))
    project.execute("""INSERT INTO "user" (id, email) VALUES (3, 'c@x')""")
    assert project.rows('SELECT plan FROM "user" WHERE id = 3') == [("mid",)]
    with pytest.raises(CommandError, match=r"rows of user\.plan do not .* plan: \"mid\""):
        project.downgrade()
    project.execute("""UPDATE "user" SET plan = 'pro'""")
    project.downgrade()
    project.execute("""INSERT INTO "user" (id, email) VALUES (4, 'd@x')""")
    assert project.rows('SELECT plan FROM "user" WHERE id = 4') == [("free",)]


def test_member_and_column_are_added_at_once(project: Project) -> None:
    migrate(project, plan("free pro"))
    migrate(project, plan("free pro mid") + "    next_plan: Plan = Plan.mid\n")
    assert project.rows('SELECT plan, next_plan FROM "user"') == [("free", "mid")] * 2
    project.downgrade()
    assert members(project) == ["free", "pro"]


def test_member_is_added_while_table_and_column_are_renamed(project: Project) -> None:
    migrate(project, plan("free pro"))
    models = plan("free pro mid", "tariff: Plan = Plan.mid").replace("class User", "class Account")
    migrate(project, models, "rename=user:account", "rename=account.plan:tariff")
    project.downgrade()
    assert project.rows('SELECT plan FROM "user"') == [("free",)] * 2
    assert members(project) == ["free", "pro"]


def test_added_member_twice_does_no_harm(project: Project) -> None:
    migrate(project, plan("free pro"))
    project.write_models(plan("free pro mid"))
    project.revise()
    project.execute("ALTER TYPE plan ADD VALUE 'mid'")
    project.upgrade()
    project.check()


def test_removed_member_is_refused_until_allowed(project: Project) -> None:
    migrate(project, plan("free mid pro"))
    project.execute("""UPDATE "user" SET plan = 'mid' WHERE id = 1""")
    project.write_models(plan("free pro"))
    with pytest.raises(
        CommandError, match=r"user\.plan: makes the type plan anew without mid \(1 row"
    ):
        project.revise()
    project.execute("""UPDATE "user" SET plan = 'pro' WHERE id = 1""")
    migrate(project, plan("free pro"), "rewrite=user.plan")
    assert project.rows('SELECT plan FROM "user" ORDER BY id') == [("pro",), ("free",)]
    project.downgrade()
    assert members(project) == ["free", "mid", "pro"]


def test_text_becomes_enum_when_allowed(project: Project) -> None:
    migrate(project, f"{USER}    plan: str\n", "fill=user.plan:free")
    project.execute('ALTER TABLE "user" ALTER plan DROP DEFAULT')
    project.write_models(plan("free pro"))
    with pytest.raises(CommandError, match=r"-x rewrite=user\.plan"):
        project.revise()
    migrate(project, plan("free pro"), "rewrite=user.plan")
    assert project.rows('SELECT plan FROM "user"') == [("free",)] * 2
    project.downgrade()
    assert project.rows('SELECT plan FROM "user"') == [("free",)] * 2
