"""The source of a revision: its marks, and the calls that its `upgrade()` leads to."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic.operations import BatchOperations, Operations

_MARK = re.compile(r"#\s*(BREAKING|DESTRUCTIVE|BLOCKING):\s*(.+)")


@dataclass(frozen=True)
class Call:
    """A directive, `op.drop_column("user", "name")`, or SQL: then `name` is "execute"."""

    name: str
    line: int
    arguments: dict[str, Any]  # what is written out; anything else is its syntax tree

    def text(self, name: str) -> str:
        """Return an argument that is written out, or a question mark."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else "?"


class Source:
    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        self._tree = ast.parse(self.text, str(path))

    @cached_property
    def marks(self) -> list[tuple[str, str]]:
        """Return kind and text of each mark, wherever it stands."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
        return [(found[1], found[2]) for text in comments if (found := _MARK.match(text))]

    def calls(self) -> Iterator[Call]:
        """Yield the directives and the SQL of `upgrade()`, and of the functions that it calls."""
        for function in self._reached():
            batches = dict(_batches(function, self))
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield from self._read(node, node.func, batches)

    def value(self, node: ast.AST) -> Any:
        """Return what an expression says without being carried out, else the expression."""
        if isinstance(node, ast.Name):
            return self.value(self._constants[node.id]) if node.id in self._constants else node
        if isinstance(node, ast.JoinedStr):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in {"f", "text"} and node.args:
                return self.value(node.args[0])
            return node
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            return node

    def _read(
        self, node: ast.Call, function: ast.Attribute, batches: dict[str, dict[str, Any]]
    ) -> Iterator[Call]:
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        if function.attr == "execute" and node.args:
            yield Call("execute", node.lineno, {"sql": self.value(node.args[0])})
        elif owner == "op" or owner in batches:
            kind = Operations if owner == "op" else BatchOperations
            given = self._bound(getattr(kind, function.attr, None), node)
            yield Call(function.attr, node.lineno, batches.get(owner, {}) | given)

    def _bound(self, directive: Any, node: ast.Call) -> dict[str, Any]:
        """Give the arguments their names."""
        if directive is None:
            return {}
        parameters = [name for name in inspect.signature(directive).parameters if name != "self"]
        positional = dict(zip(parameters, node.args, strict=False))
        named = {word.arg: word.value for word in node.keywords if word.arg}
        return {name: self.value(value) for name, value in (positional | named).items()}

    def _reached(self) -> list[ast.FunctionDef]:
        functions = {
            node.name: node for node in self._tree.body if isinstance(node, ast.FunctionDef)
        }
        reached, left = [], ["upgrade"]
        while left:
            if function := functions.pop(left.pop(), None):
                reached.append(function)
                left += [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
        return reached

    @cached_property
    def _constants(self) -> dict[str, ast.expr]:
        return {
            target.id: node.value
            for node in self._tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }


def _batches(function: ast.FunctionDef, source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each `op.batch_alter_table()`, and the table that it is about."""
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With) else ():
            call, name = item.context_expr, item.optional_vars
            if isinstance(call, ast.Call) and isinstance(name, ast.Name) and call.args:
                yield name.id, {"table_name": source.value(call.args[0])}
