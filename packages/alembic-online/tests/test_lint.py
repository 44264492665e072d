"""What is said of revisions, with file and line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from alembic_online import lint
from project import Project

HEAD = """import sqlalchemy as sa
from alembic import op

revision, down_revision = "a1", None
SQL = 'DROP TABLE account'


def helper():
    op.execute(SQL)


def downgrade():
    op.drop_table("account")


def upgrade():
"""
LINE = HEAD.count("\n") + 1


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic_online.lint", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def look(folder: Path, body: str) -> list[str]:
    """Return "line: kind subject" of each finding in a revision."""
    path = folder / "a1.py"
    path.write_text(HEAD + "\n".join(f"    {line}" for line in body.splitlines()))
    return [f"{found.line - LINE}: {found.message}" for found in lint.look(path)]


FINDINGS = [
    ('op.drop_column("account", "name")', "DESTRUCTIVE: account.name"),
    ('op.drop_column(table_name="account", column_name="name")', "DESTRUCTIVE: account.name"),
    ('op.drop_table("account")', "DESTRUCTIVE: account"),
    ("helper()", "DESTRUCTIVE: account"),
    ('op.rename_table("account", "customer")', "BREAKING: account"),
    ('op.alter_column("account", "name", new_column_name="title")', "BREAKING: account.name"),
    ('op.alter_column("account", "id", type_=sa.BigInteger())', "BLOCKING: account.id"),
    (
        'op.alter_column("account", "name", type_=sa.String(9), existing_type=sa.String(20))',
        "DESTRUCTIVE: account.name",
    ),
    (
        'op.alter_column("account", "name", type_=sa.String(9), existing_type=sa.Text())',
        "DESTRUCTIVE: account.name",
    ),
    (
        'op.add_column("account", sa.Column("age", sa.Integer(), nullable=False))',
        "BREAKING: account.age",
    ),
    (
        'op.add_column("account", sa.Column("k", sa.Uuid(), server_default=sa.func.uuidv7()))',
        "BLOCKING: account.k",
    ),
    (
        'op.add_column("account", sa.Column("n", sa.Integer(), sa.Identity()))',
        "BLOCKING: account.n",
    ),
    (
        'op.create_index("ix", "account", ["id"], postgresql_concurrently=False)',
        "BLOCKING: account",
    ),
    ('op.create_primary_key("pk", "account", ["id"])', "BLOCKING: account"),
    (
        'with op.batch_alter_table("account") as b: b.drop_column("name")',
        "DESTRUCTIVE: account.name",
    ),
    ('op.execute("DROP TABLE IF EXISTS shop.account")', "DESTRUCTIVE: shop.account"),
    ('op.execute("SELECT 1; DELETE FROM account")', "DESTRUCTIVE: account"),
    ("op.execute('ALTER TABLE \"account\" DROP name')", "DESTRUCTIVE: account.name"),
    ('op.execute("ALTER TABLE account RENAME name TO title")', "BREAKING: account.name"),
    ('op.execute("ALTER TABLE account RENAME TO customer")', "BREAKING: account"),
    ('op.execute("ALTER TABLE account ALTER id TYPE bigint")', "BLOCKING: account.id"),
    ('op.execute("ALTER TABLE account ADD CHECK (id > 0)")', "BLOCKING: account"),
    ('op.execute(f"CREATE INDEX ix ON account (id)")', "BLOCKING: ix"),
    ("op.get_bind().execute(sa.text('UPDATE account SET name = 1'))", "BLOCKING: account"),
    ("op.execute('''DO $$ BEGIN TRUNCATE account; END $$''')", "DESTRUCTIVE: account"),
]


@pytest.mark.parametrize(("line", "mark"), FINDINGS)
def test_operation_without_its_mark_is_pointed_at(tmp_path: Path, line: str, mark: str) -> None:
    (found,) = look(tmp_path, f"x = 1\n{line}")
    assert found.startswith("1: ") or line == "helper()"
    assert f"say so beside it: # {mark} ..." in found
    assert look(tmp_path, f"# {mark} goes, since nobody reads it\n{line}") == []
    other = f"# {mark.partition(':')[0]}: something else"
    assert look(tmp_path, f"{other}\n{line}") == [found]


@pytest.mark.parametrize(
    "body",
    [
        'op.create_table("t", sa.Column("a", sa.Integer()))\nop.drop_column("t", "a")',
        'op.add_column("account", sa.Column("age", sa.Integer(), nullable=True))',
        'op.add_column("account", sa.Column("at", sa.DateTime(), server_default=sa.func.now()))',
        'op.alter_column("account", "name", type_=sa.String(20), existing_type=sa.String(9))',
        'op.alter_column("account", "name", nullable=False)',
        'op.create_index("ix", "account", ["id"])',
        'op.backfill("account", {"name": sa.text("1")})',
        "op.execute('UPDATE account SET name = 1 WHERE id = 2')",
        "op.execute('ALTER TABLE account RENAME CONSTRAINT a TO b')",
        "op.execute('ALTER TABLE account ADD CONSTRAINT a CHECK (true) NOT VALID')",
        "op.execute('ALTER TABLE account ALTER name DROP NOT NULL')",
        "op.execute('CREATE INDEX CONCURRENTLY ix ON account (id)')",
        "op.execute('INSERT INTO account VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 2')",
        "op.execute('''COMMENT ON TABLE account IS 'DROP TABLE account' ''')",
        "op.execute('CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DELETE FROM a; END $$')",
        "op.execute('CREATE TRIGGER t BEFORE INSERT OR UPDATE ON account EXECUTE FUNCTION f()')",
    ],
)
def test_what_harms_nobody_is_passed_over(tmp_path: Path, body: str) -> None:
    assert look(tmp_path, body) == []


def test_file_that_is_no_python_is_pointed_at(tmp_path: Path) -> None:
    assert look(tmp_path, "op.drop_table(") != []


# --- the command


@pytest.fixture
def branch(project: Project) -> Project:
    """A repository whose main branch has a revision, and its branch a second, not committed."""
    project.write_revision("op.drop_table('account')")
    git = "git", "-c", "user.name=x", "-c", "user.email=x@x"
    for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=project.folder, check=True)
    project.write_revision("pass\nop.drop_column('account', 'name')")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, sa.make_url("postgresql+psycopg://"))


def test_revisions_of_the_branch_are_looked_at(branch: Project) -> None:
    done = run(branch.folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "migration/versions/hand0001.py:10: op.drop_column on account.name loses the column's"
    )
    assert done.stdout.count("\n") == 1
    assert run(branch.folder, "--since", "nowhere").stdout.count("\n") == 2


def test_github_shows_it_beside_the_line(branch: Project) -> None:
    done = run(branch.folder, GITHUB_ACTIONS="true")
    assert done.stdout.startswith(
        "::error file=migration/versions/hand0001.py,line=10::op.drop_column on account.name"
    )


def test_nothing_to_say_is_success(project: Project) -> None:
    project.write_revision("pass")
    done = run(project.folder)
    assert (done.returncode, done.stdout) == (0, "")
    (project.folder / "alembic.ini").unlink()
    assert run(project.folder).returncode == 1


def test_marks_that_autogenerate_writes_are_understood(
    tmp_path: Path, empty_database: sa.URL
) -> None:
    project = Project(tmp_path, empty_database)
    project.write_models(MODELS)
    project.revise()
    project.upgrade()
    project.write_models(CHANGED)
    written = project.revise(*ANSWERS)
    assert written
    newest = project.revisions()[-1]
    assert list(lint.look(newest)) == []
    newest.write_text(re.sub(r" # (BREAKING|DESTRUCTIVE|BLOCKING): ", " # ", written))
    asked = {found.message.split(" on ")[1].split()[0] for found in lint.look(newest)}
    assert asked >= {"pet.name", "pet.age", "pet.size", "pet.title", "toy", "ball"}


MODELS = """
class Pet(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    age: int
    size: int
    title: str = Field(max_length=40)

class Toy(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)

class Ball(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    color: str
"""
CHANGED = """
class Pet(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    full_name: str
    size: int = Field(sa_type=sa.BigInteger)
    title: str = Field(max_length=20)

class Globe(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    color: str
"""
ANSWERS = (
    *("rename=pet.name:full_name", "drop=pet.age", "rewrite=pet.size", "shrink=pet.title"),
    *("drop=toy", "rename=ball:globe"),
)
