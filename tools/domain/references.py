"""The tables that a field can refer to, and what their domains offer: errors, checks, factories."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlmodel import SQLModel

from app.database.tables import load_models
from tools.domain.kind import Kind
from tools.domain.kinds import make_kind
from tools.domain.words import Noun


@dataclass(frozen=True)
class Target:
    """A table that can be referred to by its one key."""

    table: str
    class_name: str
    domain: str  # the folder below app/
    kind: Kind
    error: str | None  # what its service raises where there is no such row
    is_owned: bool  # then `get_<table>` of its service tells who may have it
    factory: str | None  # the tests' module that has `make_<table>`
    takes_owner: bool = False  # what the factory is called with

    @property
    def not_found(self) -> str:
        return f"{self.class_name}NotFound"

    @property
    def words(self) -> str:
        return self.table.replace("_", " ")


def find_targets(root: Path) -> dict[str, Target]:
    """Describe the tables that have one key, a UUID."""
    load_models()
    return {
        target.table: target
        for model in _find_models(SQLModel)
        if (target := _describe(model, root)) is not None
    }


def describe_self(noun: Noun, *, is_owned: bool) -> Target:
    """Describe the table that is about to be, which may refer to itself."""
    return Target(
        table=noun.one,
        class_name=noun.class_name,
        domain=noun.many,
        kind=make_kind("uuid", None, ""),
        error=f"{noun.class_name}NotFound",
        is_owned=is_owned,
        factory=f"tests.{noun.many}.factories",
        takes_owner=is_owned,
    )


def _find_models(model: type[SQLModel]) -> list[type[SQLModel]]:
    found = [each for each in model.__subclasses__() if isinstance(_table(each), Table)]
    return found + [each for one in model.__subclasses__() for each in _find_models(one)]


def _table(model: type[SQLModel]) -> Any:
    return model.__dict__.get("__table__")


def _describe(model: type[SQLModel], root: Path) -> Target | None:
    table, names = _table(model), model.__module__.split(".")
    keys = [*table.primary_key.columns]
    if len(keys) != 1 or keys[0].name != "id" or names[0] != "app":
        return None
    if keys[0].type.python_type is not UUID:
        return None
    service = _read(root / Path(*names[:-1]) / "service.py")
    factory, takes_owner = _find_factory(root, table.name, names[1])
    return Target(
        table=table.name,
        class_name=model.__name__,
        domain=names[1],
        kind=make_kind("uuid", None, ""),
        error=_find_error(service, model.__name__),
        is_owned="owner_id" in table.columns and _arguments(service, f"get_{table.name}") >= 3,  # noqa: PLR2004  # session, user, id
        factory=factory,
        takes_owner=takes_owner,
    )


def _read(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([], [])


def _find_error(service: ast.Module, class_name: str) -> str | None:
    name = f"{class_name}NotFound"
    defined = {each.name for each in service.body if isinstance(each, ast.ClassDef)}
    return name if name in defined else None


def _arguments(module: ast.Module, function: str) -> int:
    """Count the positional parameters of a function; 0 if it is not there."""
    for each in module.body:
        if isinstance(each, ast.AsyncFunctionDef) and each.name == function:
            return len(each.args.args)
    return 0


def _find_factory(root: Path, table: str, domain: str) -> tuple[str | None, bool]:
    for name in (f"tests/{domain}/factories.py", "tests/factories.py"):
        if count := _arguments(_read(root / name), f"make_{table}"):
            return re.sub("/", ".", name.removesuffix(".py")), count > 1
    return None, False
