"""What `run()` takes and says in env.py."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from foreign import HEROES, LINES, QUESTIONS, Foreign

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
        assert "FAILED: Target database is not up to date. It is at no revision" in said
        assert "the newest revision is a1: run `alembic upgrade head`, then this again" in said
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
