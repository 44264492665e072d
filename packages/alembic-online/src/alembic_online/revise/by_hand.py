"""Differences that nobody but the developer can bridge."""

from dataclasses import dataclass
from typing import Any

from alembic.operations import ops

from alembic_online.revise.answers import Answers


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
