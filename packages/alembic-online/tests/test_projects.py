"""Kinds of projects, from their first revision to the way back, with rows in their tables."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from foreign import HEROES, QUESTIONS, Foreign

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
    for _ in range(2):
        assert "FAILED: Existing rows of question do not allow this" in project.alembic(
            "upgrade", "head"
        )
    project.execute("DELETE FROM question WHERE id = 4")
    project.alembic("upgrade", "head")


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
    assert (
        "FAILED: Existing rows of question do not allow this change: could not create unique index"
        in said
    )
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
