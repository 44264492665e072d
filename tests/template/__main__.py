"""Make projects of the template in many ways, and check each of them: `make mine-check`.

`python -m tests.template items` tries the combinations that have this word.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.database.embedded import running_server
from template.features import read_features
from tests.template.projects import CommandError, Project, clone, copy_template, install

Combination = tuple[str, tuple[str, ...]]


def main() -> None:
    """Try all combinations, or those that are named, and print what became of each."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="mine-check-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user than root
        template = copy_template(folder / "template")
        with running_server(folder / "server", "fsync=off", "max_connections=300") as url:
            server = url.render_as_string(hide_password=False)
            for combination in find_combinations(sys.argv[1:]):
                failed |= not _try(clone(template, folder / "project"), combination, server)
    sys.exit(failed)


def find_combinations(words: list[str]) -> Iterator[Combination]:
    names = [name for name in read_features() if "+" not in name]
    all_of_them: list[Combination] = [
        ("Acme Notes", ()),
        ("우리 노트", ()),
        *(("Acme Notes", (name,)) for name in names),
        ("Acme Notes", tuple(names)),
    ]
    for name, without in all_of_them:
        if not words or {*words} & {name, " ".join(without) or "nothing"}:
            yield name, without


def _try(project: Project, combination: Combination, server: str) -> bool:
    name, without = combination
    start = time.monotonic()
    try:
        _check(project, name, without, server)
        result = "green"
    except CommandError as error:
        result = f"FAILED: {error}"
    seconds = time.monotonic() - start
    print(
        f"{name}, without {', '.join(without) or 'nothing'}: {seconds:.0f} s, {result}", flush=True
    )
    return result == "green"


def _check(project: Project, name: str, without: tuple[str, ...], server: str) -> None:
    made = project.mine(name, without)
    if made.returncode:
        raise CommandError(made.stdout)
    install(project)
    given = {"DATABASE_URL": server} if "embedded" in without else {}
    project.run("make", "check", **given)
    if left := project.git("status", "--porcelain"):
        raise CommandError(left)
    if project.call("git", "grep", "--ignore-case", "user.service").returncode == 0:
        raise CommandError("the template's name is still there")


if __name__ == "__main__":
    main()
