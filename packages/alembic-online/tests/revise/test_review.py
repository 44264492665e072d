"""What the developer sees before a revision is written, and when none is."""

import os

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate

ITEM = """
class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    owner_id: int = Field(foreign_key="user.id", index=True)
"""


def test_nothing_is_written_when_nothing_changed(project: Project) -> None:
    assert project.revise() is None
    assert "The database already matches the models" in project.output
    assert len(project.revisions()) == 1


def test_revision_by_hand_is_written(project: Project) -> None:
    project.alembic("revision", "-m", "by hand")
    assert len(project.revisions()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_revision_needs_a_writable_folder(project: Project) -> None:
    project.write_models(USER + ITEM)
    project.versions.chmod(0o555)
    with pytest.raises(CommandError, match=r"cannot write to .*/versions: make it writable"):
        project.revise()
    project.versions.chmod(0o755)


def test_revision_without_message_is_reviewed_and_named_by_what_it_does(project: Project) -> None:
    project.write_models(f"{USER}    phone: str\n{ITEM}")
    with pytest.raises(CommandError, match=r"user\.phone is required and has no"):
        project.alembic("revision", "--autogenerate")
    with pytest.raises(CommandError, match="say what changes"):  # a program, as `alembic check` is
        command.revision(Config(str(project.ini)), autogenerate=True)
    assert len(project.revisions()) == 1
    project.write_models(
        USER.replace("max_length=255)", "index=True)", 1) + "    phone: str = ''\n" + ITEM
    )
    project.alembic("revision", "--autogenerate")
    text = project.revisions()[-1].read_text()
    expected = "create table item, add column user.phone, create index ix_user_email and 1 more"
    assert text.startswith(f'"""{expected}"""')


def test_plan_tells_locks_rewrites_and_rows(project: Project) -> None:
    column = "uuid.UUID = Field(sa_column_kwargs={'server_default': sa.text('gen_random_uuid()')})"
    models = USER.replace("email: str = Field(", "email: str = Field(index=True, ")
    migrate(
        project,
        f"{models}    is_active: bool = True\n    key: {column}\n{ITEM}",
        "rewrite=user.key",
    )
    reading = "no rewrite, reads every row while others read and write"
    plan = [" ".join(line.split()) for line in project.output.splitlines()]
    assert plan[: plan.index("In this database user has 2 rows.")] == [
        "This revision will",
        "add column user.is_active ACCESS EXCLUSIVE an instant, no rewrite",
        "add column user.key ACCESS EXCLUSIVE REWRITES the table",
        f"create index ix_user_email SHARE UPDATE EXCLUSIVE {reading}",
        "create table item no lock the table is new",
        "create index ix_item_owner_id no lock the table is new",
        "drop constraint uq_user_email ACCESS EXCLUSIVE an instant, no rewrite",
    ]


def test_plan_tells_which_rows_stop_the_upgrade(project: Project) -> None:
    project.execute("""INSERT INTO "user" (id, email, full_name) VALUES (3, 'c@x', 'Ann')""")
    models = USER.replace("full_name: str | None = Field(", "full_name: str = Field(unique=True, ")
    project.write_models(models.replace("default=None, max_length=255)\n", "max_length=255)\n"))
    project.revise()
    assert "full_name: required (STOPS: 1 row without a value)" in project.output
    assert "uq_user_full_name (STOPS: 1 value more than once)" in project.output
    with pytest.raises(Exception, match=r"NotNullViolation|rows with NULL"):
        project.upgrade()


def test_revision_is_the_same_each_time(project: Project) -> None:
    columns = "".join(f"    c{n}: str | None = Field(None, index=True)\n" for n in range(9))
    migrate(project, USER + columns + ITEM)
    project.write_models(
        (USER + columns + ITEM).replace("User", "A").replace("Item", "B").replace("user.", "a.")
    )
    command = "-x drop=user -x drop=item revision --autogenerate -m x --rev-id {}"
    project.alembic(*command.format("here").split())
    here = project.versions / "here.py"
    text = here.read_text()
    here.unlink()
    done = project.run(*command.format("there").split())  # with another hash seed
    assert done.returncode == 0, done.stdout
    assert (project.versions / "there.py").read_text().replace("there", "here") == text


def test_types_need_no_import_of_the_application(project: Project) -> None:
    models = (
        "class Upper(sa.TypeDecorator):\n    impl = sa.String(9)\n    cache_ok = True\n"
        "class Data(sa.TypeDecorator):\n    impl = sa.JSON\n    cache_ok = True\n"
        "    def load_dialect_impl(self, dialect): return postgresql.JSONB()\n"
        f"{USER}    code: str | None = Field(None, sa_type=Upper)\n"
        "    data: dict | None = Field(None, sa_type=Data)\n"
        "    at: dt.datetime | None = None\n    tags: list[str] | None ="
        " Field(None, sa_type=postgresql.ARRAY(sqlmodel.AutoString(5)))\n"
        "    any: dict | None = Field(None,"
        " sa_type=sa.JSON().with_variant(postgresql.JSONB, 'postgresql'))\n"
    )
    revision = migrate(project, models)
    assert "sqlmodel" not in revision
    assert "models." not in revision
    assert "sa.Column('code', sa.String(length=9), nullable=True)" in revision
    assert "sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=True)" in revision
    assert "sa.Column('at', sa.DateTime(timezone=True), nullable=True)" in revision
    assert "sa.Column('tags', postgresql.ARRAY(sa.String(length=5)), nullable=True)" in revision


def test_models_are_not_changed_by_the_comparison(project: Project) -> None:
    env = project.folder / "migration" / "env.py"
    env.write_text(
        env.read_text() + "\ncolumn = models['User'].__table__.c.is_active\n"
        "assert column.server_default is None\n"
    )
    migrate(project, f"{USER}    is_active: bool = True\n")
