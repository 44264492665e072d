"""What Alembic's directives do to rows, to those who wait, and to the version that runs."""

import ast
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from alembic_online.lint.reading import Call
from alembic_online.lint.statements import judge_sql

_STRINGS = {"String", "VARCHAR", "Unicode", "Text", "TEXT", "UnicodeText", "AutoString"}
_TEXTS = {"Text", "TEXT", "UnicodeText"}
_OF_EACH_ROW = re.compile(r"random|uuid|nextval|clock_timestamp|timeofday", re.IGNORECASE)


class Verdict(NamedTuple):
    kind: str  # of the mark that allows it
    subject: str
    what: str


def judge(call: Call) -> Iterator[Verdict]:
    """Say what is wrong with a call, unless the file says that it is meant."""
    if call.name == "execute":
        if isinstance(sql := call.arguments["sql"], str):
            yield from (Verdict(*found) for found in judge_sql(sql))
    elif call.name in _RULES:
        yield from _RULES[call.name](call)


def _drop_column(call: Call) -> Iterator[Verdict]:
    yield Verdict("DESTRUCTIVE", _column(call), "loses the column's values")


def _drop_table(call: Call) -> Iterator[Verdict]:
    yield Verdict("DESTRUCTIVE", call.text("table_name"), "loses the table's rows")


def _rename_table(call: Call) -> Iterator[Verdict]:
    yield Verdict("BREAKING", call.text("old_table_name"), "takes the table from who uses its name")


def _alter_column(call: Call) -> Iterator[Verdict]:
    if "new_column_name" in call.arguments:
        yield Verdict("BREAKING", _column(call), "takes the column from who uses its name")
    if "type_" in call.arguments:
        yield from _change_type(call)


def _change_type(call: Call) -> Iterator[Verdict]:
    old, new = (_type(call.arguments.get(name)) for name in ("existing_type", "type_"))
    if not (old and new and {old[0], new[0]} <= _STRINGS):
        yield Verdict("BLOCKING", _column(call), "writes the whole table anew, if PostgreSQL must")
    elif new[1] is not None and (old[1] is None or new[1] < old[1]):
        yield Verdict("DESTRUCTIVE", _column(call), "has no room for longer values")


def _type(node: object) -> tuple[str, int | None] | None:
    """Return name and length of a type: `sa.String(length=100)`."""
    call = node.func if isinstance(node, ast.Call) else node
    if not isinstance(call, ast.Attribute):
        return None
    given = (
        [*node.args, *(word.value for word in node.keywords)] if isinstance(node, ast.Call) else []
    )
    lengths = [part.value for part in given if isinstance(part, ast.Constant)]
    length = next((value for value in lengths if isinstance(value, int)), None)
    return call.attr, None if call.attr in _TEXTS else length


def _add_column(call: Call) -> Iterator[Verdict]:
    column = call.arguments.get("column")
    if not isinstance(column, ast.Call) or not column.args:
        return
    name = str(column.args[0].value) if isinstance(column.args[0], ast.Constant) else "?"
    subject = f"{call.text('table_name')}.{name}"
    words = {word.arg: ast.unparse(word.value) for word in column.keywords}
    default = words.get("server_default", "")
    inside = ast.unparse(column)
    if re.search(r"\bIdentity\(", inside) or (
        "Computed(" in inside and "persisted=False" not in inside
    ):
        yield Verdict("BLOCKING", subject, "writes the whole table anew")
    elif _OF_EACH_ROW.search(default):
        yield Verdict("BLOCKING", subject, "writes the whole table anew, a value for each row")
    elif words.get("nullable") == "False" and not default:
        yield Verdict("BREAKING", subject, "has no value for rows that do not name it")


def _plain_index(call: Call) -> Iterator[Verdict]:
    if call.arguments.get("postgresql_concurrently") is False:
        yield Verdict("BLOCKING", call.text("table_name"), "keeps writers out while rows are read")


def _plain_check(call: Call) -> Iterator[Verdict]:
    if call.arguments.get("postgresql_not_valid") is False:
        table = call.text("table_name" if "table_name" in call.arguments else "source_table")
        yield Verdict("BLOCKING", table, "keeps others out while rows are read")


def _index_of_table(call: Call) -> Iterator[Verdict]:
    yield Verdict("BLOCKING", call.text("table_name"), "keeps others out while an index is built")


def _copy(call: Call) -> Iterator[Verdict]:
    if call.arguments.get("recreate") == "always":
        yield Verdict("BLOCKING", call.text("table_name"), "copies the whole table")


def _column(call: Call) -> str:
    return f"{call.text('table_name')}.{call.text('column_name')}"


_RULES: dict[str, Callable[[Call], Iterator[Verdict]]] = {
    "drop_column": _drop_column,
    "drop_table": _drop_table,
    "rename_table": _rename_table,
    "alter_column": _alter_column,
    "add_column": _add_column,
    "create_index": _plain_index,
    "create_unique_constraint": _plain_index,
    "create_foreign_key": _plain_check,
    "create_check_constraint": _plain_check,
    "create_primary_key": _index_of_table,
    "create_exclude_constraint": _index_of_table,
    "batch_alter_table": _copy,
}
