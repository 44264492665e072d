"""`make mine`: a clone becomes a project of its own, or stays as it was."""

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from template.features import read_features
from tests.servers import running_app
from tests.template.projects import Project

NAME = "우리 노트"
OWN = ("app.", "benchmarks.", "migration.", "template.", "tests.", "tools.")


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
    fresh.run("ruff", "format", "--check", "--no-cache", ".")
    fresh.run("ruff", "check", "--no-cache", ".")
    url = libpq_uri(empty_database)
    tests = ("tests/test_architecture.py", "tests/test_documents.py", "tests/test_workplace.py")
    more = ("tests/test_security_document.py", "tests/test_lock_files.py")
    loop = ("tests/database/test_diagram.py", "tests/migration/test_every_revision.py")
    fresh.run("pytest", "-q", "-p", "no:cacheprovider", *tests, *more, *loop, DATABASE_URL=url)
    with running_app(folder=fresh.folder, DATABASE_URL=url) as server:
        assert "Database:   " in server.printed
    fresh.run("alembic", "upgrade", "head", DATABASE_URL=f"sqlite:///{fresh.folder}/acme.db")
    again = fresh.call("make", "--silent", "mine", "NAME=Other", "--assume-old=setup")
    assert again.returncode
    assert f"make mine: this is {NAME} already" in again.stdout


def test_everything_that_can_be_left_out_leaves_clean_code(fresh: Project) -> None:
    names = [name for name in read_features() if "+" not in name]
    record = fresh.folder.parent / "record.toml"
    without = ", ".join(f'"{name}"' for name in names)
    page = f'commit = "0"\nname = "Acme"\nslug = "acme"\nwithout = [{without}]\nyear = 2026\n'
    record.write_text(page)
    fresh.run(sys.executable, "-m", "template", "shape", str(record))
    fresh.run("ruff", "check", "--no-cache", ".")
    fresh.run("ruff", "format", "--check", "--no-cache", ".")
    assert not (fresh.folder / "template").exists()
    assert {
        name for name in find_imports(fresh.folder) if not is_there(fresh.folder, name)
    } == set()


def find_imports(folder: Path) -> Iterator[str]:
    """Name what the project's modules import of the project: `app.users.models.User`."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(OWN):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_there(folder: Path, name: str) -> bool:
    path = folder / name.replace(".", "/")
    return any((each / "__init__.py").exists() for each in (path, path.parent)) or any(
        each.with_suffix(".py").exists() for each in (path, path.parent)
    )


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ('Acme "Notes"', (), "mine: the name has '\"' in it"),
        ("Acme Notes", ("--slug", "a/b"), "mine: 'a/b' cannot be the package's name"),
        ("Acme Notes", ("--without", "billing"), "mine: there is no feature 'billing'"),
    ],
)
def test_bad_input_changes_nothing(
    template: Project, name: str, options: tuple[str, ...], reason: str
) -> None:
    done = template.mine(name, (), *options)
    assert done.returncode == 1
    assert done.stdout.startswith(reason)
    assert done.stdout.count("\n") == 1
    assert template.git("status", "--porcelain") == ""


def test_nobody_who_could_be_asked_changes_nothing(template: Project) -> None:
    done = template.call(sys.executable, "-m", "template", "mine", "--name", "Acme")
    assert done.stdout.splitlines()[-1] == "mine: nobody is there to be asked: say YES=1"
    assert template.git("rev-list", "--count", "HEAD") == "1"


def test_work_tree_with_changes_is_refused(fresh: Project) -> None:
    fresh.write("notes.txt", "mine")
    done = fresh.mine("Acme")
    assert done.stdout.startswith("mine: the work tree has changes")
    assert fresh.git("status", "--porcelain") == "?? notes.txt"


def test_interruption_leaves_everything_as_it_was(fresh: Project, tmp_path: Path) -> None:
    start = fresh.git("rev-parse", "HEAD")
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
