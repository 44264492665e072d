"""Is there a place for the domain? Its folders, table, path and classes must be nobody else's."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import SQLModel

from app.database.tables import load_models
from app.main import create_app
from app.settings import Settings
from tools.domain.fields import Definition
from tools.domain.words import Noun, UsageError

_SUFFIXES = ("", "Base", "Create", "Update", "Public", "Page")


def require_place(root: Path, noun: Noun) -> None:
    """Raise `UsageError` if there is such a domain, or its folders, paths or table are taken."""
    load_models()
    if (root / "app" / noun.many / "models.py").exists():
        raise UsageError(f"there is a domain {noun.many} already, in app/{noun.many}")
    for path in (f"{each}/{noun.many}{end}" for each in ("app", "tests") for end in ("", ".py")):
        if (root / path).exists():
            raise UsageError(f"{path} is there already; choose another NAME or PLURAL")
    if noun.one in SQLModel.metadata.tables:
        raise UsageError(f"there is a table {noun.one} already; choose another NAME")


def require_names(definition: Definition) -> None:
    """Raise `UsageError` if a class of the domain has the name of another of the API."""
    create_app(Settings(_env_file=None))  # which loads all classes
    noun = definition.noun
    names = {noun.class_name + suffix for suffix in _SUFFIXES}
    names |= {field.kind.inside for field in definition.fields if field.kind.members}
    if taken := sorted(names & _find_classes(BaseModel)):
        raise UsageError(f"there is a class {taken[0]} already; choose another NAME")


def _find_classes(base: type[Any]) -> set[str]:
    found: list[type[Any]] = base.__subclasses__()
    return {each.__name__ for each in found}.union(*map(_find_classes, found))
