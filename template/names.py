"""The names of a project: the one people read, and what is derived from it."""

import keyword
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from template.errors import TemplateError
from template.hangul import romanize

_WIDEST_NAME, _LONGEST_SLUG = 40, 30  # then no line of code becomes too long
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DATABASES = {"postgres", "template0", "template1"}


@dataclass(frozen=True)
class Names:
    name: str
    slug: str

    @property
    def identifier(self) -> str:
        """What the database and its roles are called."""
        return self.slug.replace("-", "_")

    def fill(self, text: str) -> str:
        return (
            text.replace("{name}", self.name)
            .replace("{slug}", self.slug)
            .replace("{identifier}", self.identifier)
        )


def choose_names(folder: Path, name: str, slug: str = "") -> Names:
    """Derive the slug unless it is given; raise `TemplateError` for names that cannot be."""
    name = unicodedata.normalize("NFC", name).strip()
    _check_name(name)
    slug = slug or derive_slug(name)
    _check_slug(slug, folder)
    return Names(name, slug)


def derive_slug(name: str) -> str:
    """Write a name in small Latin letters, if that is possible: `Café 노트` as `cafe-noteu`."""
    plain = unicodedata.normalize("NFKD", romanize(name)).lower()
    kept = "".join(each for each in plain if not unicodedata.combining(each))
    if not kept.replace("-", "").replace(" ", "").isascii():
        raise TemplateError(
            f"the name {name!r} has letters that are not Latin: say SLUG=acme-notes, in your words"
        )
    return "-".join(re.findall(r"[a-z0-9]+", kept))


def _check_name(name: str) -> None:
    if not name:
        raise TemplateError('a name is needed: make mine NAME="Acme Notes"')
    if (width := sum(map(_measure, name))) > _WIDEST_NAME:
        raise TemplateError(f"the name is {width} columns wide; {_WIDEST_NAME} are allowed")
    for each in name:
        if not (each.isalnum() or each in " -" or unicodedata.combining(each)):
            raise TemplateError(
                f"the name has {each!r} in it: letters, digits, spaces and hyphens are allowed"
            )
    if "user service" in name.lower():
        raise TemplateError("that is the template's own name; choose another")


def _measure(letter: str) -> int:
    """Return how many columns a letter takes, as ruff counts the length of a line."""
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _check_slug(slug: str, folder: Path) -> None:
    if not _SLUG.fullmatch(slug) or len(slug) > _LONGEST_SLUG:
        raise TemplateError(
            f"{slug!r} cannot be the package's name: small Latin letters, digits and hyphens, a"
            f" letter first, {_LONGEST_SLUG} at most; say SLUG=acme-notes, in your words"
        )
    identifier = slug.replace("-", "_")
    reasons = {
        "a word of Python": keyword.iskeyword(identifier),
        "the name of a table": identifier in _find_tables(folder),
        "a package that the project uses": slug in _find_packages(folder),
        "a database of PostgreSQL's own": slug in _DATABASES,
    }
    for reason, applies in reasons.items():
        if applies:
            raise TemplateError(f"{slug!r} is {reason}: choose another name, or say SLUG=")


def _find_tables(folder: Path) -> set[str]:
    """Name the tables of the models; a class that says nothing else has its own name in small."""
    pages = "\n".join(path.read_text("utf-8") for path in folder.glob("app/**/models.py"))
    classes = re.findall(r"^class (\w+)\([^)]*table=True", pages, re.MULTILINE)
    named = re.findall(r'__tablename__ = "(\w+)"', pages)
    return {*map(str.lower, classes), *named}


def _find_packages(folder: Path) -> set[str]:
    lock = (folder / "requirements-dev.txt").read_text("utf-8")
    return {"alembic-online", "app", *re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock, re.MULTILINE)}
