"""What may run while the old version serves: it bears an expansion, and not a contraction."""

import ast
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

EXPAND, CONTRACT = "expand", "contract"

Command = Callable[[tuple[str, ...], MigrationContext], Iterable[RevisionStep]]

log = logging.getLogger("alembic.online")

_MARKS = re.compile(r"^\s+# (BREAKING|DESTRUCTIVE): ", re.MULTILINE)
_TAKES_AWAY = {"drop_column", "drop_table", "rename_table"}
_RENAMES = "new_column_name"
_OPTION = "phase="


def phase_of(revision: Script) -> str:
    """Return "expand" or "contract": what the file says, or else what it does."""
    given = getattr(revision.module, "phase", None)
    if given is None:
        return CONTRACT if _takes_away(Path(revision.path).read_text("utf-8")) else EXPAND
    if given not in {EXPAND, CONTRACT}:
        raise CommandError(
            f"{revision.path}: phase = {given!r}, but a phase is {EXPAND!r} or {CONTRACT!r}"
        )
    return str(given)


def _takes_away(source: str) -> bool:
    """Tell whether the upgrade breaks those who use what is there, by its marks or directives."""
    return bool(_MARKS.search(source)) or any(
        isinstance(call, ast.Call) and _is_removal(call)
        for function in ast.parse(source).body
        if isinstance(function, ast.FunctionDef) and function.name == "upgrade"
        for call in ast.walk(function)
    )


def _is_removal(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name in _TAKES_AWAY or any(each.arg == _RENAMES for each in call.keywords)


def sufficient_revisions(scripts: ScriptDirectory) -> frozenset[str]:
    """Return the heads, and what lies below them with nothing but contractions in between.

    At each of these, the database has all that the newest version of the application needs.
    """
    found: set[str] = set()
    left = [*scripts.get_revisions("heads")]
    while left:
        revision = left.pop()
        found.add(revision.revision)
        below = revision.down_revision
        if isinstance(below, str) and phase_of(revision) == CONTRACT:
            left.extend(scripts.get_revisions(below))
    return frozenset(found)


def in_phase(extras: Iterable[str], command: Command) -> Command:
    """Have `-x phase=expand` end an upgrade before the first contraction."""
    given = [extra.removeprefix(_OPTION) for extra in extras if extra.startswith(_OPTION)]
    for phase in given:
        if phase != EXPAND:
            raise CommandError(
                f"-x phase={phase}: only -x phase={EXPAND} is known. It stops before what breaks"
                " the running version; without it, everything is done"
            )
    return _expanding(command) if given else command


def _expanding(command: Command) -> Command:
    def steps(heads: tuple[str, ...], context: MigrationContext) -> list[RevisionStep]:
        found = list(command(heads, context))
        _refuse_downgrade(found)
        done = next((at for at, step in enumerate(found) if _contracts(step)), len(found))
        if found[done:]:
            log.warning("%s", _what_is_left(found[done:]))
        return found[:done]

    return steps


def _contracts(step: RevisionStep) -> bool:
    return isinstance(step, RevisionStep) and phase_of(_script(step)) == CONTRACT


def _script(step: RevisionStep) -> Script:
    assert isinstance(step.revision, Script)  # noqa: S101  # read from a file
    return step.revision


def _refuse_downgrade(steps: Iterable[RevisionStep]) -> None:
    if any(isinstance(step, RevisionStep) and not step.is_upgrade for step in steps):
        raise CommandError(f"-x phase={EXPAND} is for upgrades: a downgrade has no phases")


def _what_is_left(steps: list[RevisionStep]) -> str:
    first = steps[0].revision.revision
    lines = [f"    {phase_of(_script(s)):8}  {s.revision.revision}  {s.doc}" for s in steps]
    waiting = any(phase_of(_script(step)) == EXPAND for step in steps)
    said = [
        f"stopped before {first}, which breaks the version that runs now. Left:",
        *lines,
        "Run `alembic upgrade head` when no process of that version is left.",
    ]
    return "\n".join([*said, _ORDER] if waiting else said)


_ORDER = (
    "What expands is left too where it comes after a contraction. If the new version needs it, let"
    " `alembic upgrade head` do the contraction first: its old version may be gone already"
)
