"""`make mine`: a clone becomes a project of its own, or stays as it was."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from template.__main__ import main
from template.features import list_names
from template.record import Record
from template.shape import shape
from tests.servers import running_app
from tests.template.imports import find_broken_imports
from tests.template.projects import Project

NAME = "우리 노트"


def test_clone_becomes_a_project_in_one_commit(fresh: Project, empty_database: URL) -> None:
    start = fresh.git("rev-parse", "HEAD")
    done = fresh.mine(NAME, ["items", "client", "pages"])
    assert done.returncode == 0, done.stdout
    assert "Database:  uri_noteu, with the roles" in done.stdout
    assert "Without:   items, the example domain" in done.stdout
    assert fresh.git("rev-parse", "HEAD~1") == start
    assert fresh.git("status", "--porcelain", "--ignored") == ""
    assert fresh.git("remote") == "template"
    assert fresh.call("git", "grep", "-i", "user.service").stdout == ""
    assert f"# {NAME}\n" in (fresh.folder / "README.md").read_text("utf-8")
    assert 'name = "uri-noteu"' in (fresh.folder / "pyproject.toml").read_text("utf-8")
    with running_app(folder=fresh.folder, DATABASE_URL=libpq_uri(empty_database)) as server:
        assert "Database:   " in server.printed
    again = fresh.call("make", "--silent", "mine", "NAME=Other", "--assume-old=setup")
    assert again.returncode
    assert f"make mine: this is {NAME} already" in again.stdout


def test_everything_that_can_be_left_out_leaves_clean_code(
    template: Project, fresh: Project
) -> None:
    shape(fresh.folder, Record("0", "Acme Notes", "acme-notes", tuple(list_names()), 2026))
    fresh.run("ruff", "check", "--no-cache", ".")
    fresh.run("ruff", "format", "--check", "--no-cache", ".")
    assert not (fresh.folder / "template").exists()
    assert "PostgreSQL of DATABASE_URL" in (fresh.folder / "README.md").read_text("utf-8")
    assert find_broken_imports(fresh.folder) == []
    mine, theirs = (
        (each.folder / "LICENSE").read_text("utf-8").splitlines() for each in (fresh, template)
    )
    assert "Copyright (c) 2026 The authors of Acme Notes" in mine
    assert [line for line in mine if line in theirs] == theirs  # as it asks to be kept


NOBODY = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly"}


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (["--slug", "a/b"], {}, "'a/b' cannot be the package's name"),
        (["--without", "billing"], {}, "there is no feature 'billing'"),
        ([], {}, "nobody is there to be asked: say YES=1"),
        ([], NOBODY | {"GIT_CONFIG_VALUE_0": "true"}, "git knows no name for the commit"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    template: Project,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    reason: str,
) -> None:
    for name, value in (template.environment | environment).items():
        monkeypatch.setenv(name, value)
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.delenv(f"GIT_{name}") if environment else None
    monkeypatch.chdir(template.folder)
    monkeypatch.setattr(sys, "argv", ["template", "mine", "--name", "Acme", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # which would outlast the test
    with pytest.raises(SystemExit) as exit_:
        main()
    said = str(exit_.value.code)
    assert said.startswith(f"mine: {reason}")
    assert "\n" not in said
    assert template.git("rev-list", "--count", "HEAD") == "1"
    assert template.git("status", "--porcelain") == ""


def test_interruption_leaves_everything_as_it_was(fresh: Project, tmp_path: Path) -> None:
    fresh.write("notes.txt", "mine")
    assert fresh.mine("Acme").stdout.startswith("mine: the work tree has changes")
    start = fresh.commit("Add notes")
    (temporary := tmp_path / "temporary").mkdir()
    temporary.chmod(0o777)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "template", "mine", "--name", "Acme", "--yes"],
        cwd=fresh.folder,
        env=fresh.environment | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("Gone:"))
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert said == "mine: interrupted; nothing has been changed\n"
    assert fresh.git("rev-parse", "HEAD") == start
    assert fresh.git("status", "--porcelain", "--ignored") == ""
    assert [*temporary.iterdir()] == []
