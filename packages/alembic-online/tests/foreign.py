"""A project as `alembic init` makes it: two lines of env.py are all that is added."""

import re
import shutil
from pathlib import Path

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
        # Python takes a file of the same second and size for the one that it has compiled.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)

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
