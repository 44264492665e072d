"""Finds what pages say of refusals: the docstrings of errors, which Babel would not look at.

`[tool.babel]` in pyproject.toml names this for the folders whose errors pages show.
"""

import sys
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from babel.messages.extract import extract_python

from app.web.errors import InvalidField, ServiceError


def extract(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Collection[str], options: Any
) -> Iterator[tuple[Any, ...]]:
    """Yield the texts of a Python file, and those of the errors that it defines."""
    yield from extract_python(file, keywords, comment_tags, options)
    for error in _find_errors(Path(file.name)):
        if error.__doc__:
            yield 1, None, error.__doc__.strip(), []


def _find_errors(path: Path) -> Iterator[type[ServiceError]]:
    parts = path.with_suffix("").parts
    name = ".".join(parts[len(parts) - parts[::-1].index("app") - 1 :]).removesuffix(".__init__")
    import_module(name)
    for each in vars(sys.modules[name]).values():
        is_own = isinstance(each, type) and each.__module__ == name
        if is_own and issubclass(each, ServiceError) and _speaks(each):
            yield each


def _speaks(error: type[ServiceError]) -> bool:
    """Tell whether its docstring is the text: of a wrong field, whoever raises it says more."""
    return error is not ServiceError and not issubclass(error, InvalidField)
