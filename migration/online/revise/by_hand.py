"""Differences that nobody but the developer can bridge, and things that nobody has compared."""

from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from migration.online.revise.answers import Answers

_NOT_COMPARED = "online_not_compared"  # where the migration context keeps it


@dataclass
class ByHand(ops.MigrateOperation):
    """A difference that `alembic check` reports, and a revision is refused for."""

    reason: str

    def reverse(self) -> "ByHand":
        return self

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("by_hand", self.reason)


def refuse_by_hand(upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Take these differences out of the revision, and refuse it because of them."""
    for table in upgrade.ops:
        if isinstance(table, ops.ModifyTableOps):
            for op in table.ops:
                if isinstance(op, ByHand):
                    answers.refuse(op.reason)
            table.ops = [op for op in table.ops if not isinstance(op, ByHand)]


def note_not_compared(context: MigrationContext, text: str) -> None:
    noted: list[str] = context.opts.setdefault(_NOT_COMPARED, [])
    if text not in noted:  # after a rename, all is compared again
        noted.append(text)


def not_compared(context: MigrationContext) -> list[str]:
    """Return such as "index ix_a of a: PostgreSQL says ..."."""
    return list(context.opts.get(_NOT_COMPARED, ()))
