"""Differences that nobody but the developer can bridge."""

from dataclasses import dataclass
from typing import Any

from alembic.operations import ops

from alembic_online.revise.answers import Answers
from alembic_online.revise.walking import each, replace_each


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
    for op in each(upgrade):
        if isinstance(op, ByHand):
            answers.refuse(op.reason)
    replace_each(upgrade, lambda op: () if isinstance(op, ByHand) else (op,))
