"""Make projects of the template in many ways, and check each of them: `make mine-check`.

`python -m tests.template items` tries the combinations that have this word; with `--quick`, their
tests are imported, and only those of the documents run.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.database.embedded import running_server
from template.features import list_names
from tests.template.newer import improve
from tests.template.projects import CommandError, Project, clone, copy_template, install
from tests.tools.domains import DOMAINS

_STORY = "Growing"
Combination = tuple[str, tuple[str, ...]]


def main() -> None:
    """Try all combinations, or those that are named, and print what became of each."""
    words = {*sys.argv[1:]}
    failed = False
    with tempfile.TemporaryDirectory(prefix="mine-check-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user than root
        with running_server(folder / "server", "fsync=off", "max_connections=300") as url:
            workshop = Workshop(
                copy_template(folder / "template"),
                folder,
                url.render_as_string(hide_password=False),
                is_quick="--quick" in words,
            )
            for combination in find_combinations(words - {"--quick"}):
                failed |= not workshop.try_out(combination)
    sys.exit(failed)


def find_combinations(words: set[str]) -> Iterator[Combination]:
    names = list_names()
    all_of_them: list[Combination] = [
        ("Acme Notes", ()),
        ("우리 노트", ()),
        *(("Acme Notes", (name,)) for name in names),
        ("Acme Notes", tuple(names)),
        (_STORY, ("items",)),
    ]
    for name, without in all_of_them:
        if not words or words & {name, " ".join(without) if name != _STORY else ""}:
            yield name, without


class Workshop:
    """Where projects are made of a template, one after the other in the same folder."""

    def __init__(self, template: Project, folder: Path, server: str, *, is_quick: bool) -> None:
        self.template = template
        self.folder = folder
        self.server = server
        self.is_quick = is_quick

    def try_out(self, combination: Combination) -> bool:
        """Make and check a project; print how that went."""
        start = time.monotonic()
        try:
            self._try_out(*combination)
            result = "green"
        except CommandError as error:
            result = f"FAILED: {error}"
        name, without = combination
        seconds = time.monotonic() - start
        left_out = ", ".join(without) or "nothing"
        print(f"{name}, without {left_out}: {seconds:.0f} s, {result}", flush=True)
        return result == "green"

    def _try_out(self, name: str, without: tuple[str, ...]) -> None:
        newer = clone(self.template, self.folder / "newer")
        project = clone(newer, self.folder / "project")
        made = project.mine(name, without)
        if made.returncode:
            raise CommandError(made.stdout)
        install(project)
        given = {"DATABASE_URL": self.server} if "embedded" in without else {}
        given["MYPY_CACHE_DIR"] = str(self.folder / "mypy")  # for all projects
        given["PYTHONDONTWRITEBYTECODE"] = ""  # each process would compile all packages again
        self._check(project, given)
        if name == _STORY:
            self._grow(project, newer, given)

    def _check(self, project: Project, given: dict[str, str]) -> None:
        if self.is_quick:
            for command in (
                "ruff format --check",
                "ruff check",
                "mypy",
                "pytest -q --collect-only",
                "pytest -q tests/test_documents.py",
            ):
                project.run(*f".venv/bin/{command}".split(), **given)
        else:
            project.run("make", "check", **given)
        if left := project.git("status", "--porcelain"):
            raise CommandError(left)
        if project.call("git", "grep", "--ignore-case", "user.service").returncode == 0:
            raise CommandError("the template's name is still there")

    def _grow(self, project: Project, newer: Project, given: dict[str, str]) -> None:
        """Add domains, and then take what is new in the template."""
        for name, fields in DOMAINS.items():
            project.run("make", "domain", NAME=name, FIELDS=fields)
        project.run("make", "migrate")
        project.run("make", "revision", m="Add domains")
        project.run("make", "migrate")
        project.commit("Add domains")
        self._check(project, given)
        improve(newer)
        project.run("make", "update")
        project.run("make", "migrate")
        self._check(project, given)


if __name__ == "__main__":
    main()
