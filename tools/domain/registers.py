"""What is to know of a new domain besides its own files: the app, the tests, the documents."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from sqlmodel import SQLModel

from app.database.diagram import draw_schema
from tools.domain.code import write_unique, write_value
from tools.domain.editing import (
    add_checked_import,
    add_import,
    append_to_class,
    append_to_dictionary,
    append_to_loop,
)
from tools.domain.fields import Definition, Field
from tools.domain.rendering import tidy
from tools.domain.words import UsageError

MAIN = Path("app/main.py")
USERS = Path("app/users/models.py")
MATRIX = Path("tests/auth/test_authorization.py")
STATEMENTS = Path("tests/database/test_statements.py")
PROMISES = Path("tests/web/test_property_based.py")
LAYERS = Path("tests/test_architecture.py")
ARCHITECTURE = Path("docs/architecture.md")


def edit(root: Path, definition: Definition, models: str) -> dict[Path, str]:
    """Return the files that have a line for each domain, with those of the new one."""
    edits: dict[Path, Callable[[str, Definition], str]] = {
        MAIN: _include_router,
        USERS: _relate_owner,
        MATRIX: _add_decisions,
        STATEMENTS: _count_statements,
        PROMISES: _allow_refusals,
        LAYERS: _allow_imports,
    }
    before = {path: (root / path).read_text("utf-8") for path in edits}
    after = {path: change(before[path], definition) for path, change in edits.items()}
    changed = tidy({path: text for path, text in after.items() if text != before[path]})
    page = (root / ARCHITECTURE).read_text("utf-8")
    return changed | {ARCHITECTURE: _draw(page, definition, models)}


def _include_router(text: str, definition: Definition) -> str:
    many = definition.noun.many
    text = append_to_loop(text, MAIN, "router", f"{many}_router")
    return add_import(text, f"from app.{many}.router import router as {many}_router")


def _relate_owner(text: str, definition: Definition) -> str:
    """Let `user.projects` be the owner's; the database deletes them with the user."""
    if not definition.is_owned:
        return text
    noun = definition.noun
    name = noun.class_name
    text = add_checked_import(text, f"from app.{noun.many}.models import {name}")
    text = add_import(text, "from sqlmodel import Relationship")
    ends = (
        f'back_populates="owner", cascade_delete=True, passive_deletes=True{definition.joined_by}'
    )
    line = f'{noun.many}: list["{name}"] = Relationship({ends})'
    return append_to_class(text, USERS, "User", line)


def _add_decisions(text: str, definition: Definition) -> str:
    text = append_to_dictionary(text, MATRIX, "DECISIONS", [*_write_decisions(definition)])
    text = append_to_dictionary(text, MATRIX, "BODIES", [*_write_bodies(definition)])
    # What unique values may be made with; what is not needed goes again.
    for names in ("datetime import date, timedelta", "decimal import Decimal"):
        text = add_import(text, f"from {names}")
    return add_import(text, "from uuid import UUID")


def _count_statements(text: str, definition: Definition) -> str:
    """Say how many statements a POST takes that looks for what it refers to."""
    looked_for = len([each for each in definition.checked if each.is_required])
    if not looked_for:
        return text
    entry = f'"POST /api/v1/{definition.noun.path}": {2 + looked_for}'
    return append_to_dictionary(text, STATEMENTS, "STATEMENTS", [entry])


def _allow_refusals(text: str, definition: Definition) -> str:
    """Say that an address may be refused which looks like one."""
    if not any(field.kind.inside == "Email" for field in definition.fields):
        return text
    path, one = f"/api/v1/{definition.noun.path}", definition.noun.one
    reason = '"reserved domains"'
    routes = (f'"POST {path}"', f'"PATCH {path}/{{{one}_id}}"')
    entries = [f"{route}: {reason}" for route in routes]
    return append_to_dictionary(text, PROMISES, "VALID_MAY_BE_REFUSED", entries)


def _write_decisions(definition: Definition) -> Iterator[str]:
    """Say who may: anonymous, the owner, another user, a superuser."""
    one, path, owned = definition.noun.one, f"/api/v1/{definition.noun.path}", definition.is_owned
    hidden = any(each.is_required for each in definition.checked)
    row = f"{path}/{{{one}_id}}"
    yield f'"GET {path}": (401, 200, 200, 200)'
    if not owned:
        yield f'"POST {path}": (401, 403, 403, 201)'
        yield f'"GET {row}": (401, 200, 200, 200)'
        yield f'"PATCH {row}": (401, 403, 403, 200)'
        yield f'"DELETE {row}": (401, 403, 403, 204)'
        return
    yield f'"POST {path}": (401, 201, {404 if hidden else 201}, 201)'
    yield f'"GET {row}": (401, 200, 404, 200)'
    yield f'"PATCH {row}": (401, 200, 404, 200)'
    yield f'"DELETE {row}": (401, 204, 404, 204)'


def _write_bodies(definition: Definition) -> Iterator[str]:
    path = f"/api/v1/{definition.noun.path}"
    body = {field.name: _write_sent(field) for field in definition.fields if field.is_required}
    first = next(field for field in definition.fields if not field.target)
    yield f'"POST {path}": {{"json": {_write_dict(body)}}}'
    change = {first.name: _write_sent(first)}
    yield f'"PATCH {path}/{{{definition.noun.one}_id}}": {{"json": {_write_dict(change)}}}'


def _write_sent(field: Field) -> str:
    if field.target:
        return f'"{{{field.target.table}_id}}"'
    return (
        f"lambda number: {write_unique(field)}" if field.unique else write_value(field.kind.other)
    )


def _write_dict(values: dict[str, str]) -> str:
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}}"


def _allow_imports(text: str, definition: Definition) -> str:
    """Let the service import the services of the domains that it refers to."""
    known = {
        field.target.domain
        for field in definition.fields
        if field.target
        and field.target.table != definition.noun.one
        and (field.target.error or field.target.is_owned)
    }
    if known <= {"users"}:
        return text
    names = ", ".join(f'"{name}"' for name in sorted(known | {"users"}))
    entry = f'"{definition.noun.many}": {{{names}}}'
    return append_to_dictionary(text, LAYERS, "KNOWN", [entry])


def _draw(page: str, definition: Definition, models: str) -> str:
    """Draw the tables anew, as they are with the new one."""
    _load(definition, models)
    diagram = f"```mermaid\n{draw_schema(SQLModel.metadata)}\n```\n"
    drawn, count = re.subn(
        r"```mermaid\nerDiagram\n.*?\n```\n", lambda _: diagram, page, flags=re.DOTALL
    )
    if count != 1:
        raise UsageError(f"{ARCHITECTURE} has no diagram of the tables any more")
    return drawn


def _load(definition: Definition, models: str) -> None:
    """Import the new models, to see that they are models, without a file in the project."""
    module = ModuleType(f"app.{definition.noun.many}.models")
    sys.modules[module.__name__] = module  # where pydantic looks for names
    try:
        exec(compile(models, f"{module.__name__}", "exec"), module.__dict__)  # noqa: S102  # ours
    except Exception as error:
        raise UsageError(f"SQLModel does not take such models: {error}") from error
