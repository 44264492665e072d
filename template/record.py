"""What a project was made with: kept in the file `.template.toml`, for `make update`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from template.errors import TemplateError

FILE = ".template.toml"
_PAGE = """\
# What `make mine` was told, and what has been taken from the template: `make update` reads it.
commit = "{commit}"
name = "{name}"
slug = "{slug}"
without = [{without}]
year = {year}
"""


@dataclass(frozen=True)
class Record:
    commit: str
    """Of the template, whose changes the project has."""
    name: str
    slug: str
    without: tuple[str, ...]
    year: int

    @classmethod
    def read(cls, text: str) -> "Record":
        try:
            content = tomllib.loads(text)
            return cls(**content | {"without": tuple(content["without"])})
        except (KeyError, TypeError, ValueError) as error:
            raise TemplateError(f"{FILE} cannot be read: {error}") from error

    def write(self, folder: Path) -> None:
        without = ", ".join(f'"{each}"' for each in self.without)
        values = {**vars(self), "without": without}
        (folder / FILE).write_text(_PAGE.format(**values), "utf-8")
