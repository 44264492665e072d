"""Where the models were read, for whoever misses one: the files, and tables of other metadata."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa


def files_of(read: Iterable[sa.MetaData]) -> list[str]:
    """Name the project's files that declare the tables."""
    known = [*read]
    return sorted({file for file, table in _tables() if table.metadata in known})


def matching(read: Iterable[sa.MetaData], *, is_partial: bool) -> str:
    """Say that the models are as the database is, which ones, and which do not count."""
    known = [*read]
    files = files_of(known)
    where = f" in {', '.join(files)}" if files else ""
    ignored = sorted(
        {(file, table.key) for file, table in _tables() if table.metadata not in known}
    )
    how = "as far as it was compared" if is_partial else "already"
    return "\n".join(
        [
            f"The database {how} matches the models{where}: no revision is needed.",
            *(
                f"Table {name} of {file} was ignored: its Base has a metadata of its own. List that"
                " in env.py: target_metadata = [..., Base.metadata]"
                for file, name in ignored
            ),
        ]
    )


def _tables() -> Iterator[tuple[str, sa.Table]]:
    """Yield what the loaded modules of the project declare, each with its file."""
    here = f"{Path.cwd()}{os.sep}"
    for module in [*sys.modules.values()]:
        file = _own_file(module, here)
        for value in [*vars(module).values()] if file else ():
            table = _table_of(value, module)
            if file and table is not None:
                yield file, table


def _own_file(module: ModuleType, here: str) -> str | None:
    """Return the path below the working directory, unless it is that of an installed package."""
    path = getattr(module, "__file__", None) or ""
    if not path.startswith(here) or "site-packages" in Path(path).parts:
        return None
    return Path(path.removeprefix(here)).as_posix()


def _table_of(value: object, module: ModuleType) -> sa.Table | None:
    """Look at types alone: what a module holds may be a proxy that must not be touched."""
    if issubclass(type(value), type):
        attributes = vars(value)
        value = attributes.get("__table__") if value.__module__ == module.__name__ else None
    return value if issubclass(type(value), sa.Table) else None  # type: ignore[return-value]
