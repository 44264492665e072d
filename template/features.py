"""What can be left out: one file in features/ for each, which says what goes with it."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from template.errors import TemplateError

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cut:
    """A text that stands in a file once, and what comes in its place."""

    file: str
    text: str
    put: str = ""
    until: str = ""
    """Where given, all goes from the text to this, which stays, or, of blank lines, to the end."""
    unless: str = ""
    """A feature that cuts the same text itself when it is left out as well."""


@dataclass(frozen=True)
class Drop:
    """A function or class at the top of a module, that goes with what decorates it."""

    file: str
    name: str


@dataclass(frozen=True)
class Feature:
    name: str
    about: str
    paths: tuple[str, ...] = ()
    cuts: tuple[Cut, ...] = ()
    drops: tuple[Drop, ...] = ()
    packages: tuple[str, ...] = ()
    """What pyproject.toml no longer asks for."""
    tables: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Features that cannot stay without this one."""
    renames: dict[str, str] = field(default_factory=dict)


def read_feature(path: Path) -> Feature:
    content = tomllib.loads(path.read_text("utf-8"))
    cuts = tuple(Cut(**each) for each in content.pop("cut", ()))
    drops = tuple(Drop(*each.split("::")) for each in content.pop("drop", ()))
    renames = content.pop("renames", {})
    about = content.pop("about")
    lists = {name: tuple(values) for name, values in content.items()}
    return Feature(path.stem, about, cuts=cuts, drops=drops, renames=renames, **lists)


def read_features() -> dict[str, Feature]:
    """Return what can be left out, by its name; `a+b` is what only `a` and `b` need."""
    return {path.stem: read_feature(path) for path in sorted(HERE.glob("features/*.toml"))}


def list_names() -> list[str]:
    """Name what can be left out."""
    return [name for name in read_features() if "+" not in name]


def read_template() -> Feature:
    """Return what only the template needs: it goes in any case."""
    return read_feature(HERE / "always.toml")


def choose_features(names: Iterable[str]) -> list[Feature]:
    """Find the features, and those that go with them; raise `TemplateError` for one unknown."""
    features, known = read_features(), list_names()
    chosen, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in known:
            raise TemplateError(f"there is no feature {name!r}; there are {', '.join(known)}")
        chosen.add(name)
        waiting += {*features[name].also} - chosen
    return [each for name, each in features.items() if {*name.split("+")} <= chosen]
