"""Takes packages out of pyproject.toml and the lock files, with all that came for them alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from template.errors import TemplateError

_LOCKS = ("requirements.txt", "requirements-dev.txt")
_PACKAGE = re.compile(r"^(?=[a-z0-9][a-z0-9._-]*(?:\[.*?\])?==)", re.MULTILINE)
_VIA = re.compile(r"^    #(?: via)? *(.*)\n", re.MULTILINE)


@dataclass
class _Locked:
    """A package of a lock file, and who wants it: packages, or a file."""

    text: str
    wanted_by: list[str]

    @classmethod
    def read(cls, block: str) -> "_Locked":
        return cls(_VIA.sub("", block), [each for each in _VIA.findall(block) if each])

    def write(self) -> str:
        if len(self.wanted_by) == 1:
            return f"{self.text}    # via {self.wanted_by[0]}\n"
        return "".join(
            [self.text, "    # via\n", *(f"    #   {each}\n" for each in self.wanted_by)]
        )

    def drop(self, wanting: str) -> bool:
        """Forget one that wants it; return whether it was the last one."""
        before = self.wanted_by
        self.wanted_by = [each for each in before if each.split(" ")[0] != wanting]
        left = [each for each in self.wanted_by if not each.startswith("-c ")]
        return before != self.wanted_by and not left


def drop_packages(folder: Path, packages: Iterable[str], project: str) -> None:
    """Let the project no longer ask for the packages."""
    dropped = [*packages]
    for name in dropped:
        _drop_from_project(folder / "pyproject.toml", name)
    for lock in _LOCKS:
        path = folder / lock
        path.write_text(_drop_from_lock(path.read_text("utf-8"), dropped, project), "utf-8")


def _drop_from_project(path: Path, name: str) -> None:
    asks = re.compile(rf'^ *"{re.escape(name)}(?:\[.*?\])?[>=].*\n', re.MULTILINE)
    text, found = asks.subn("", path.read_text("utf-8"))
    if found != 1:
        raise TemplateError(f"{path.name} asks for {name} {found} times, not once")
    path.write_text(text, "utf-8")


def _drop_from_lock(text: str, dropped: list[str], project: str) -> str:
    """Take the project from those that want a package, and then whatever nobody wants."""
    text, mark, footer = text.partition("\n# The following packages")
    head, *blocks = _PACKAGE.split(text)
    locked = {re.split(r"[=\[]", block, maxsplit=1)[0]: _Locked.read(block) for block in blocks}
    gone = [name for name in dropped if name in locked and locked[name].drop(project)]
    while gone:
        del locked[(name := gone.pop())]
        gone += [each for each, package in locked.items() if package.drop(name)]
    return head + "".join(package.write() for package in locked.values()) + mark + footer
