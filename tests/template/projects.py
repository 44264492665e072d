"""Copies of the template with a history of their own, and what becomes of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers import copy_repository

_SETTINGS = ("GIT_", "DATABASE_URL", "TEST_SERVER_URL", "PYTHONPATH", "VIRTUAL_ENV", "MAKE")


class CommandError(Exception):
    """A command failed; the message is what it said."""


class Project:
    """A git repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        self.environment = kept | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(folder),
        }

    def call(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder, with nobody to ask."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def run(self, *command: str, **environment: str) -> str:
        """Run a command that succeeds, and return what it says."""
        done = self.call(*command, **environment)
        if done.returncode:
            raise CommandError(f"{' '.join(command)}\n{done.stdout}")
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def commit(self, message: str) -> str:
        """Commit all that is there, and return the commit's name."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that is in the file."""
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, f"{file}: {old}"
        path.write_text(text.replace(old, new, 1), "utf-8")

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def mine(
        self, name: str, without: Sequence[str] = (), *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Do what `make mine` does, without asking and without setting `.venv` up."""
        command = (sys.executable, "-m", "template", "mine", "--name", name)
        return self.call(*command, "--without", " ".join(without), "--yes", *options)


def copy_template(folder: Path) -> Project:
    """Copy the work tree as it is, as the first commit of a repository."""
    template = Project(copy_repository(folder))
    template.git("init", "--quiet", "--initial-branch=main")
    template.commit("Publish the template")
    return template


def clone(template: Project, folder: Path) -> Project:
    """Clone the template as its users do."""
    shutil.rmtree(folder, ignore_errors=True)
    template.git("clone", "--quiet", str(template.folder), str(folder))
    return Project(folder)


def install(project: Project) -> None:
    """Make `.venv` as `make setup` does, in seconds: from what uv has in its cache."""
    python, uv = str(project.folder / ".venv/bin/python"), str(Path(sys.executable).parent / "uv")
    project.run(uv, "venv", "--quiet", "--seed", "--clear", ".venv", "--python", sys.executable)
    install = (uv, "pip", "install", "--quiet", "--python", python, "--no-deps")
    project.run(*install, "--require-hashes", "-r", "requirements-dev.txt")
    editable = ("--no-build-isolation", "--editable", "packages/alembic-online", "--editable", ".")
    project.run(*install, *editable)
    (project.folder / ".venv/ready").touch()
