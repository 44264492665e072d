"""What somebody types who comes from a tutorial, in a copy of this project and on SQLite."""

from pathlib import Path

import pytest

from tests.forks import run_command
from tests.servers import copy_repository

QUESTION = """\
from sqlmodel import Field, SQLModel


class {name}(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    subject: str
"""


class Beginner:
    """A copy of the project, whose alembic.ini names the database."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_repository(folder)
        self.say_url("sqlite:///%(here)s/50%.db")

    def say_url(self, url: str) -> None:
        ini = self.folder / "alembic.ini"
        lines = [line for line in ini.read_text().splitlines() if "sqlalchemy.url" not in line]
        ini.write_text("\n".join([lines[0], f"sqlalchemy.url = {url}", *lines[1:]]))

    def write(self, path: str, name: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(QUESTION.format(name=name))

    def files(self) -> int:
        return len([*(self.folder / "migration" / "versions").glob("*.py")])

    def alembic(self, *arguments: str, **environment: str) -> str:
        """Run a command and return all that it says, which must be no traceback."""
        done = run_command(self.folder, "alembic", *arguments, **environment)
        assert "Traceback" not in done.stdout, done.stdout
        assert (done.returncode != 0) == ("FAILED: " in done.stdout), done.stdout
        return done.stdout


@pytest.fixture
def beginner(tmp_path: Path) -> Beginner:
    return Beginner(tmp_path)


def test_models_are_found_wherever_they_are_and_no_revision_is_lost(beginner: Beginner) -> None:
    said = beginner.alembic("revision", "--autogenerate")
    assert "Target database is not up to date. It is at no revision" in said
    assert "run `alembic upgrade head`" in said
    beginner.alembic("upgrade", "head")
    assert (beginner.folder / "50%.db").exists()
    beginner.write("app/question/models/__init__.py", "Question")
    beginner.write("app/question/models/answers.py", "Answer")
    beginner.write("app/domains/vote/models.py", "Vote")
    beginner.write("app/comment.py", "Comment")
    said = beginner.alembic("revision", "--autogenerate")
    for name in ("answer", "question", "vote"):
        assert f"    create table {name}\n" in said
    assert "whole database" not in said
    beginner.alembic("upgrade", "head")
    said = beginner.alembic("revision", "--autogenerate", "-m", "Comments")
    assert "matches the models in app/" in said
    assert "app/domains/vote/models.py" in said
    assert "app/comment.py" not in said
    before = beginner.files()
    for _ in range(2):
        beginner.alembic("revision", "-m", "first commit")
    assert beginner.files() == before + 2
    beginner.alembic("upgrade", "head")


def test_url_of_alembic_ini_counts_and_messages_name_it(beginner: Beginner) -> None:
    beginner.alembic("upgrade", "head")
    said = beginner.alembic("current", DATABASE_URL="sqlite:///other.db")
    assert "DATABASE_URL is used, and not sqlalchemy.url in alembic.ini, which differs" in said
    assert "(head)" not in said
    beginner.say_url("postgresql://ada:p%40ss@127.0.0.1:1/app")
    said = beginner.alembic("current")
    assert "FAILED: the database cannot be used: " in said
    assert "(the URL is sqlalchemy.url in alembic.ini)" in said
    beginner.say_url("mysql://localhost/app")
    said = beginner.alembic("current")
    assert "FAILED: sqlalchemy.url in alembic.ini is of the kind 'mysql'" in said


def test_second_class_of_one_name_is_a_sentence(beginner: Beginner) -> None:
    beginner.write("app/zoo/models.py", "User")
    said = beginner.alembic("revision", "--autogenerate")
    sentence = "app/zoo/models.py: Table 'user' is already defined."
    assert f"FAILED: {sentence}" in said
    assert "give this class another name, or a __tablename__" in said
    done = run_command(beginner.folder, "app", "schema")
    assert done.stdout.startswith(f"app: {sentence}")
