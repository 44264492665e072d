"""The same loop on SQLite, in batch mode."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate


def test_columns_constraints_and_renames_there_and_back(sqlite_project: Project) -> None:
    project = sqlite_project
    columns = (
        '    is_active: bool = True\n    motto: str = "it\'s 5%"\n'
        "    price: Decimal = Field(Decimal('1.50'), max_digits=10, decimal_places=2)\n"
        "    key: uuid.UUID = uuid.UUID(int=5)\n    day: dt.date = dt.date(2024, 2, 29)\n"
        "    at: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)\n"
        "    boss_id: int | None = Field(default=None, foreign_key='user.id', index=True)\n"
    )
    revision = migrate(project, USER + columns)
    assert "batch_alter_table" in revision
    query = 'SELECT full_name, is_active, motto, price, key, day, at FROM "user" WHERE id = 1'
    key = "00000000000000000000000000000005"
    values = (1, "it's 5%", 1.5, key, "2024-02-29", "2024-01-01 00:00:00+00:00")
    assert project.rows(query) == [("Ann", *values)]
    project.write_models((USER + columns).replace("full_name", "display_name"))
    with pytest.raises(CommandError, match="-x rename=user"):
        project.revise()
    renamed = (USER + columns).replace("full_name", "display_name")
    migrate(project, renamed, "rename=user.full_name:display_name")
    assert project.rows(query.replace("full_name", "display_name")) == [("Ann", *values)]
    project.downgrade()
    assert project.rows(query) == [("Ann", *values)]
    project.downgrade()
    assert project.rows('SELECT * FROM "user" WHERE id = 1') == [(1, "a@x", "Ann")]


def test_default_that_batch_mode_would_damage_is_refused(sqlite_project: Project) -> None:
    sqlite_project.write_models(f"{USER}    motto: str = 'see :x'\n")
    with pytest.raises(CommandError, match="batch mode on SQLite would damage 'see :x'"):
        sqlite_project.revise()


def test_table_rename_keeps_the_rows(sqlite_project: Project) -> None:
    models = USER.replace("class User", "class Account").replace("unique=True", "index=True")
    migrate(sqlite_project, models, "rename=user:account", "drop=account.uq_user_email")
    assert sqlite_project.scalar("SELECT count(*) FROM account") == 2
    sqlite_project.downgrade()
    assert sqlite_project.scalar('SELECT count(*) FROM "user"') == 2


def test_risks_are_refused_there_too(sqlite_project: Project) -> None:
    without = USER.replace("    full_name: str | None = Field(default=None, max_length=255)\n", "")
    sqlite_project.write_models(f"{without}    nickname: str\n")
    with pytest.raises(CommandError) as refusal:
        sqlite_project.revise()
    assert "drops the column and its data (1 value)" in str(refusal.value)
    assert "user.nickname is required and has no default" in str(refusal.value)
    answers = ("drop=user.full_name", "fill=user.nickname:x")
    migrate(sqlite_project, f"{without}    nickname: str\n", *answers)
    assert sqlite_project.rows('SELECT nickname FROM "user"') == [("x",), ("x",)]
    sqlite_project.downgrade()
    assert sqlite_project.rows('SELECT full_name FROM "user"') == [(None,), (None,)]


def test_types_nullability_enums_and_drops(sqlite_project: Project) -> None:
    plan = "class Plan(enum.Enum):\n    free = 1\n    pro = 2\n"
    models = USER.replace(
        "full_name: str | None = Field(default=None", "full_name: str = Field(default=''"
    )
    sqlite_project.execute("""UPDATE "user" SET full_name = '' WHERE full_name IS NULL""")
    migrate(sqlite_project, f"{plan}{models.replace('255', '300')}    plan: Plan = Plan.pro\n")
    assert sqlite_project.rows('SELECT plan FROM "user"') == [("pro",), ("pro",)]
    sqlite_project.downgrade()
    sqlite_project.upgrade()
    migrate(sqlite_project, "", "drop=user")
    sqlite_project.downgrade()


def test_revision_made_on_postgresql_creates_the_tables(
    sqlite_project: Project, empty_project: Project
) -> None:
    models = (
        "class Plan(enum.Enum):\n    free = 1\n    pro = 2\n"
        f"{USER}    plan: Plan = Plan.pro\n    is_active: bool = True\n"
        "    at: dt.datetime = Field(sa_column_kwargs={'server_default': sa.func.now()})\n"
    ).replace("class User", "class Account")
    empty_project.write_models(models)
    empty_project.revise()
    (path,) = empty_project.revisions()
    (old,) = sqlite_project.revisions()
    old.unlink()
    path.rename(sqlite_project.versions / path.name)
    sqlite_project.execute("DELETE FROM alembic_version")
    sqlite_project.execute('DROP TABLE "user"')
    sqlite_project.write_models(models)
    sqlite_project.upgrade()
    sqlite_project.execute("INSERT INTO account (email) VALUES ('a@x')")
    assert sqlite_project.rows("SELECT plan, is_active FROM account") == [("pro", 1)]
    sqlite_project.check()
    sqlite_project.downgrade()
