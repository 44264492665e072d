"""Revisions compared with their marks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alembic_online.lint.reading import Call, Source
from alembic_online.lint.rules import Verdict, judge


class Finding(NamedTuple):
    path: Path
    line: int
    message: str


def look(path: Path) -> Iterator[Finding]:
    """Yield what a revision's `upgrade()` loses, blocks or breaks without a mark that says so."""
    try:
        source = Source(path)
    except SyntaxError as error:
        yield Finding(path, error.lineno or 1, f"cannot be read: {error.msg}")
        return
    calls = list(source.calls())
    new = {call.text("table_name") for call in calls if call.name == "create_table"}
    new |= {call.text("old") for call in calls if call.name == "bridge_table"}  # still there
    for call in calls:
        for verdict in judge(call):
            if not (_is_marked(verdict, source) or set(verdict.subject.split(".")) & new):
                yield Finding(path, call.line, _message(call, verdict))


def _is_marked(verdict: Verdict, source: Source) -> bool:
    """Tell whether a mark names it, if but the column or the table; what is unknown has any."""
    name = verdict.subject.rpartition(".")[2]
    names = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(
        kind == verdict.kind and ("?" in name or not name or names.search(text))
        for kind, text in source.marks
    )


def _message(call: Call, verdict: Verdict) -> str:
    what = "SQL" if call.name == "execute" else f"op.{call.name}"
    of = f" on {verdict.subject}" if verdict.subject else ""
    return (
        f"{what}{of} {verdict.what}. If that is meant, say so beside it:"
        f" # {verdict.kind}: {verdict.subject} ..."
    )
