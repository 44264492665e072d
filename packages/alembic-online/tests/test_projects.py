"""Projects of others, as `alembic init` makes them: two lines in env.py are all that is added."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from upgrade.processes import run_alembic

LINES = """\
import alembic_online
alembic_online.run(context, target_metadata=target_metadata)
"""

QUESTIONS = """\
from sqlalchemy import Column, DateTime, Enum, ForeignKey, Integer, String, Text
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()


class Question(Base):
    __tablename__ = "question"
    id = Column(Integer, primary_key=True)
    subject = Column(String, nullable=False)
    create_date = Column(DateTime, nullable=False)


class Answer(Base):
    __tablename__ = "answer"
    id = Column(Integer, primary_key=True)
    content = Column(Text, nullable=False)
    question_id = Column(Integer, ForeignKey("question.id"))
    question = relationship("Question", backref="answers")
"""

HEROES = """\
from sqlmodel import Field, SQLModel


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
"""

SCHEMAS = """\
from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)


class Order(Base):
    __tablename__ = "order"
    __table_args__ = {"schema": "sales"}
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))


class Event(Base):
    __tablename__ = "order"
    __table_args__ = {"schema": "audit 100%"}
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("sales.order.id"))
"""


class Foreign:
    """A project that `alembic init` has made in a folder of its own."""

    def __init__(self, folder: Path, url: sa.URL, *, template: str = "generic") -> None:
        self.folder, self.url = folder, url
        self.ini, self.env = folder / "alembic.ini", folder / "migrations" / "env.py"
        command.init(Config(str(self.ini)), str(folder / "migrations"), template=template)
        text = url.render_as_string(hide_password=False).replace("%", "%%")
        self.replace(self.ini, "driver://user:pass@localhost/dbname", text)

    def write(self, models: str, metadata: str) -> None:
        """Give the project its models, and replace all of env.py that connects."""
        (self.folder / "models.py").write_text(models)
        head, _, _ = self.env.read_text().partition("target_metadata = None")
        module = re.match(r"\[?(\w+)", metadata)
        assert module
        imports = f"import {module[1]}\n" if module[1] == "models" else "import models\n"
        self.env.write_text(f"{head}{imports}target_metadata = {metadata}\n{LINES}")

    def replace(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def change(self, old: str, new: str) -> None:
        self.replace(self.folder / "models.py", old, new)

    def alembic(self, *arguments: str) -> str:
        return run_alembic(self.ini, *arguments)

    def migrate(self, *extras: str) -> str:
        """Revise as the tutorials do, and upgrade; the database then matches."""
        answers = [part for extra in extras for part in ("-x", extra)]
        said = self.alembic(*answers, "revision", "--autogenerate")
        assert "done" in said
        self.alembic("upgrade", "head")
        assert "No new upgrade operations detected" in self.alembic("check")
        return said

    def execute(self, *statements: str) -> None:
        with self._engine().begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self._engine().connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def _engine(self) -> sa.Engine:
        driver = "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql+psycopg"
        return sa.create_engine(self.url.set(drivername=driver), poolclass=sa.NullPool)


@pytest.fixture(params=["sqlite", "postgresql+psycopg", "postgresql+psycopg2"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> sa.URL:
    if request.param == "sqlite":
        return sa.URL.create("sqlite", database=str(tmp_path / "myapi.db"))
    empty: sa.URL = request.getfixturevalue("empty_database")
    return empty.set(drivername=request.param)


def test_declarative_base(tmp_path: Path, url: sa.URL) -> None:
    project = Foreign(tmp_path, url)
    project.write(QUESTIONS, "models.Base.metadata")
    said = project.migrate()
    assert re.search("^    create table question( |$)", said, re.MULTILINE)
    (file,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert file.name.endswith("_create_table_question_and_answer.py")
    assert "whole database" not in said
    project.execute(
        "INSERT INTO question VALUES (1, 'what?', '2026-01-01'), (2, 'why?', '2026-01-02')",
        "INSERT INTO answer VALUES (1, 'that', 1), (2, 'therefore', 2)",
    )
    project.change(
        "    question = relat",
        "    votes = Column(Integer, nullable=False, default=7)\n    question = relat",
    )
    project.change("nullable=False)\n    create", "nullable=False, unique=True)\n    create")
    project.migrate()
    assert project.rows("SELECT id, votes FROM answer") == [(1, 7), (2, 7)]
    project.change("votes", "likes")
    project.migrate("rename=answer.votes:likes")
    project.execute("INSERT INTO question VALUES (3, 'who?', '2026-01-03')")
    with pytest.raises(sa.exc.IntegrityError):
        project.execute("INSERT INTO question VALUES (4, 'who?', '2026-01-03')")
    for _ in range(2):
        project.alembic("downgrade", "-1")
    project.execute("INSERT INTO question VALUES (4, 'who?', '2026-01-03')")
    assert project.rows("SELECT content FROM answer ORDER BY id") == [("that",), ("therefore",)]
    if url.get_backend_name() == "postgresql":
        assert "FAILED: Existing rows do not allow this" in project.alembic("upgrade", "head")


def test_sqlmodel_in_one_file(tmp_path: Path, url: sa.URL) -> None:
    project = Foreign(tmp_path, url)
    project.write(HEROES, "models.SQLModel.metadata")
    project.migrate()
    project.execute("INSERT INTO hero VALUES (1, 'Deadpond')")
    project.change("index=True)", "index=True)\n    age: int\n    is_secret: bool = False")
    assert "hero.age is required and has no default" in project.alembic(
        "revision", "--autogenerate", "-m", "Add the age"
    )
    project.migrate("fill=hero.age:30")
    assert project.rows("SELECT name, age FROM hero WHERE NOT is_secret") == [("Deadpond", 30)]
    for file in (tmp_path / "migrations" / "versions").glob("*.py"):
        assert "sqlmodel" not in file.read_text()
    project.alembic("downgrade", "base")
    project.alembic("upgrade", "head")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_async_engine(tmp_path: Path, empty_database: sa.URL, driver: str) -> None:
    url = empty_database.set(drivername=f"postgresql+{driver}")
    project = Foreign(tmp_path, url, template="async")
    project.write(QUESTIONS, "models.Base.metadata")
    project.replace(
        project.env,
        "alembic_online.run(context, ",
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        'engine = create_async_engine(config.get_main_option("sqlalchemy.url"))\n'
        "alembic_online.run(context, engine, ",
    )
    project.migrate()
    ((first,),) = project.rows("SELECT version_num FROM alembic_version")
    project.execute(
        "INSERT INTO question SELECT i, 'what ' || i, now() FROM generate_series(1, 100) AS i"
    )
    project.change("Column(String, nullable=False)", "Column(String, nullable=False, unique=True)")
    project.change("    id = Column(Integer, primary_key=True)\n    subject", LEVEL)
    project.migrate()
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in project.alembic(
        "upgrade", f"{first}:head", "--sql"
    )
    project.alembic("downgrade", "-1")
    project.execute("UPDATE question SET subject = 'what?'")
    said = project.alembic("upgrade", "head")
    assert "FAILED: Existing rows do not allow this change: could not create unique index" in said
    assert "Key (subject)=(what?) is duplicated" in said
    assert project.rows("SELECT count(*) FROM question WHERE level = 'easy'") == [(100,)]
    project.execute("UPDATE question SET subject = id")
    project.alembic("upgrade", "head")


LEVEL = """\
    id = Column(Integer, primary_key=True)
    level = Column(Enum("easy", "50%", name="level"), nullable=False, default="easy")
    subject"""


def test_several_schemas(tmp_path: Path, empty_database: sa.URL) -> None:
    project = Foreign(tmp_path, empty_database)
    project.execute("CREATE SCHEMA other", "CREATE TABLE other.kept (id int)")
    project.write(SCHEMAS, "models.Base.metadata")
    project.migrate()
    project.execute(
        "INSERT INTO shop VALUES (1)",
        "INSERT INTO sales.order VALUES (1, 1)",
        'INSERT INTO "audit 100%%".order VALUES (1, 1)',
    )
    added = '    note: Mapped[str] = mapped_column(default="none", index=True)\n'
    project.change("    order_id", f"{added}    order_id")
    project.migrate()
    project.change("note", "remark")
    project.migrate("rename=audit 100%.order.note:remark")
    assert project.rows('SELECT remark FROM "audit 100%%".order') == [("none",)]
    project.alembic("downgrade", "base")
    assert project.rows("SELECT count(*) FROM other.kept") == [(0,)]
    project.alembic("upgrade", "head")


Make = Callable[[str, str], str]


@pytest.fixture
def revise(tmp_path: Path) -> Make:
    """Make a revision on an empty SQLite database, of models and metadata."""

    def make(models: str, metadata: str) -> str:
        project = Foreign(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/myapi.db"))
        project.write(models, metadata)
        return project.alembic("revision", "--autogenerate", "-m", "first commit")

    return make


TWO = f"import sqlmodel\n{QUESTIONS}\n{HEROES}"


def test_target_metadata_may_be_a_list(revise: Make) -> None:
    said = revise(TWO, "[models.Base.metadata, models.SQLModel.metadata]")
    assert all(f"create table {name}" in said for name in ("question", "answer", "hero"))


def test_same_table_in_two_metadata_is_a_sentence(revise: Make) -> None:
    again = "from sqlmodel import SQLModel, Field\nclass Question(SQLModel, table=True):\n"
    models = f"{QUESTIONS}\n{again}    id: int | None = Field(default=None, primary_key=True)\n"
    said = revise(models, "[models.Base.metadata, models.SQLModel.metadata]")
    assert "FAILED: table question is in two of the listed target_metadata" in said


def test_message_says_which_files_were_read_and_what_was_ignored(tmp_path: Path) -> None:
    project = Foreign(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/myapi.db"))
    project.write(HEROES, "models.SQLModel.metadata")
    project.migrate()
    (tmp_path / "questions.py").write_text(QUESTIONS)
    again = "revision", "--autogenerate"
    assert "matches the models in models.py: no revision is needed" in project.alembic(*again)
    project.replace(project.env, "import models", "import models, questions")
    said = project.alembic(*again)
    assert "Table answer of questions.py was ignored: its Base has a metadata of its own" in said
    assert "target_metadata = [..., Base.metadata]" in said
    project.replace(project.env, "= models.SQLModel.metadata", "= questions.Base.metadata")
    assert "The models were read from questions.py." in project.alembic(*again)


def test_database_that_is_not_up_to_date_says_what_to_run(tmp_path: Path) -> None:
    project = Foreign(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/myapi.db"))
    project.write(HEROES, "models.SQLModel.metadata")
    project.alembic("revision", "--autogenerate", "--rev-id", "a1")
    for command_ in (["revision", "--autogenerate"], ["check"]):
        said = project.alembic(*command_)
        assert "FAILED: the database is at no revision, and the newest revision is a1" in said
        assert "run `alembic upgrade head`, then this again" in said
    project.alembic("upgrade", "head")
    next((tmp_path / "migrations" / "versions").glob("a1*.py")).unlink()
    said = project.alembic("upgrade", "head")
    assert "'a1': no file in migrations/versions has it." in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlalchemy.url = nonsense", "sqlalchemy.url in alembic.ini is malformed"),
        ("", "sqlalchemy.url in alembic.ini is missing"),
    ],
)
def test_what_is_wrong_with_the_url_is_a_sentence(tmp_path: Path, url: str, said: str) -> None:
    project = Foreign(tmp_path, sa.make_url("sqlite://"))
    project.write(HEROES, "models.SQLModel.metadata")
    project.replace(project.ini, "sqlalchemy.url = sqlite://", url)
    assert f"FAILED: {said}" in project.alembic("current")


@pytest.mark.parametrize("percent", ["%", "%%"])
def test_percent_sign_in_the_url_counts_doubled_or_not(tmp_path: Path, percent: str) -> None:
    project = Foreign(tmp_path, sa.make_url("sqlite://"))
    project.write(HEROES, "models.SQLModel.metadata")
    url = f"sqlite:///%(here)s/50{percent}.db\nsqlalchemy.echo = true"
    project.replace(project.ini, "sqlite://", url)
    assert "INFO sqlalchemy.engine.Engine" in project.alembic("current")
    assert (tmp_path / "50%.db").exists()


def test_options_of_the_project_count_beside_ours(tmp_path: Path) -> None:
    project = Foreign(tmp_path, sa.make_url(f"sqlite:///{tmp_path}/myapi.db"))
    project.write(TWO, "[models.Base.metadata, models.SQLModel.metadata]")
    project.replace(project.env, LINES, OPTIONS)
    said = project.migrate()
    assert "create table question" in said
    assert "hero" not in said
    assert "hook: CreateTableOp CreateTableOp" in said
    (file,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert "sa.Text" not in file.read_text()
    assert project.rows("SELECT count(*) FROM revisions") == [(1,)]


OPTIONS = """
import alembic_online


def include_name(name, kind, parents):
    return name != "hero"


def include_object(item, name, kind, reflected, other):
    return name != "hero"


def render_item(kind, item, context):
    return "sa.String()" if kind == "type" and type(item).__name__ == "Text" else False


def process(context, revision, directives):
    print("hook:", *[type(op).__name__ for op in directives[0].upgrade_ops.ops])


alembic_online.run(
    context,
    target_metadata=target_metadata,
    version_table="revisions",
    include_name=include_name,
    include_object=include_object,
    render_item=render_item,
    compare_type=False,
    process_revision_directives=process,
)
"""
