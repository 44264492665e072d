"""Adds to Python files what each domain has there, and leaves the rest as it is."""

import ast
from pathlib import Path

from tools.domain.words import UsageError


def append_to_loop(text: str, path: Path, variable: str, entry: str) -> str:
    """Add an entry to the tuple of `for variable in (...)`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.For) and ast.unparse(node.target) == variable:
            return _append(text, node.iter, [entry])
    raise _not_found(path, f"for {variable} in (...)")


def append_to_dictionary(text: str, path: Path, name: str, entries: list[str]) -> str:
    """Add entries to the dictionary of this name."""
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if name in map(ast.unparse, targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict):
                return _append(text, value, entries)
    raise _not_found(path, f"{name} = {{...}}")


def add_import(text: str, statement: str) -> str:
    """Put an import behind the last; ruff sorts them."""
    body = ast.parse(text).body
    last = max(
        each.end_lineno or 0 for each in body if isinstance(each, ast.Import | ast.ImportFrom)
    )
    return _insert(text, last, f"{statement}\n")


def add_checked_import(text: str, statement: str) -> str:
    """Put an import where only the type checker sees it: the other module imports this one."""
    text = add_import(text, "from typing import TYPE_CHECKING")
    body = ast.parse(text).body
    blocks = [each for each in body if isinstance(each, ast.If)]
    found = [each for each in blocks if ast.unparse(each.test) == "TYPE_CHECKING"]
    if found:
        return _insert(text, found[0].end_lineno or 0, f"    {statement}\n")
    last = max(
        each.end_lineno or 0 for each in body if isinstance(each, ast.Import | ast.ImportFrom)
    )
    return _insert(text, last, f"\nif TYPE_CHECKING:\n    {statement}\n")


def append_to_class(text: str, path: Path, name: str, line: str) -> str:
    """Add a line to the end of a class."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _insert(text, node.end_lineno or 0, f"    {line}\n")
    raise _not_found(path, f"class {name}")


def _insert(text: str, after: int, lines: str) -> str:
    """Put lines behind the line of this number."""
    before = text.splitlines(keepends=True)
    return "".join([*before[:after], lines, *before[after:]])


def _append(text: str, collection: ast.expr, entries: list[str]) -> str:
    """Write entries behind the last of a collection; the formatter gives each its line."""
    source = ast.get_source_segment(text, collection) or ""
    inner, bracket = source[:-1].rstrip(), source[-1:]
    has_comma = inner.endswith((",", "(", "{"))
    added = f"{inner}{'' if has_comma else ','} {', '.join(entries)}{',' * has_comma}{bracket}"
    return text.replace(source, added, 1)


def _not_found(path: Path, what: str) -> UsageError:
    return UsageError(f"{path} has no `{what}` any more, which would get a line for the domain")
