"""What cannot be rehearsed, or not there, is said."""

import pytest

from alembic_online.rehearse.__main__ import main
from alembic_online.rehearse.copies import is_local, usable_url
from project import STOCK_ENV, Project
from rehearsal.running import rehearse
from upgrade.conftest import ENV
from upgrade.directives import INDEX


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (STOCK_ENV, "env.py has not called alembic_online.run() with an engine"),
        (
            ENV.replace(
                "run(context, create_engine(url)", "run(context, create_engine(url).connect()"
            ),
            "a rehearsal needs an engine",
        ),
        (
            ENV.replace("create_engine(url)", "sa.create_engine(url, creator=own)"),
            "and not to the copy",
        ),
    ],
)
def test_an_env_py_that_cannot_be_led_to_the_copy(
    project: Project, env: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (
        "import psycopg\nimport sqlalchemy as sa\n"
        "def own():\n    return psycopg.connect(url.replace('+psycopg', ''))\n"
    )
    (project.folder / "migration" / "env.py").write_text(own + env)
    project.write_revision(INDEX)
    assert rehearse(project) == 1
    assert message in capsys.readouterr().err
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"


def test_what_is_no_use_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for url, message in (
        ("nonsense", "malformed URL"),
        ("sqlite:///a", "needs the URL of a PostgreSQL database"),
        ("postgresql://db.example.com/a", "say by --server where its copy may be made"),
        (f"{project.shown_url}".replace("test_", "no_test_"), "does not exist"),
    ):
        assert main([url, "-c", str(project.ini)]) == 1
        assert message in capsys.readouterr().err


def test_no_programs_no_dump(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(project.folder))
    assert rehearse(project, "--server", project.shown_url) == 1
    assert "pg_dump is needed on the path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://localhost/a", True),
        ("postgresql://u:p@127.0.0.1:5432/a", True),
        ("postgresql://[::1]/a", True),
        ("postgresql:///a?host=/run/postgresql", True),
        ("postgresql:///a?host=/run/postgresql&hostaddr=192.0.2.1", False),
        ("postgresql://db.internal/a", False),
        ("postgres://a,b/a", False),
    ],
)
def test_which_servers_are_local(url: str, *, local: bool) -> None:
    assert is_local(usable_url(url)) == local
