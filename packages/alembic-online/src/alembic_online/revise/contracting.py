"""An expansion's second revision: what the running version still needs is taken away by it."""

import uuid
from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from alembic_online.phases import CONTRACT, EXPAND
from alembic_online.revise import bridges  # noqa: F401  # teaches Alembic to write them
from alembic_online.revise.answers import Answers
from alembic_online.revise.candidates import Rename
from alembic_online.revise.completing import complete
from alembic_online.revise.dependents import review_dependents
from alembic_online.revise.expanding import Expanding, put_in_place
from alembic_online.revise.expansions import expansion_of, pairs_of
from alembic_online.revise.operations import BridgedTable, Remark
from alembic_online.revise.plan import plan_of
from alembic_online.revise.splitting import split_off
from alembic_online.revise.walking import label, table_of
from alembic_online.upgrade.bridges import BridgeTableOp, DropTableBridgeOp

_HEADING = "The second revision, for when no process of the running version is left, will"


class Contraction:
    """What is to come later, beside what is done now."""

    def __init__(
        self,
        context: MigrationContext,
        upgrade: ops.UpgradeOps,
        renames: list[Rename],
        answers: Answers,
    ) -> None:
        self.context, self.answers = context, answers
        self.tables = [rename for rename in renames if isinstance(rename, BridgedTable)]
        self.pairs = pairs_of(upgrade, answers)
        self.upgrade, self.followers = split_off(context, upgrade, self.pairs, answers)
        self.downgrade = ops.DowngradeOps([])
        self.columns: list[Expanding] = []
        self.plan = ""

    def __bool__(self) -> bool:
        return bool(self.tables or self.pairs)

    def prepare(self) -> None:
        """Find out how columns are kept in step, and have the new ones be asked about no more."""
        for pair in self.pairs:
            expansion = expansion_of(self.context, pair, self.answers)
            if expansion is not None:
                self.columns.append(Expanding(self.context, expansion))
            pair.leave_optional()
        review_dependents(self.context, self.upgrade, self.answers)

    def settle(self, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
        """Complete both revisions, of which the first has its own operations already."""
        complete(self.context, self.upgrade, self.downgrade)
        for column in self.columns:
            self._settle_column(column, upgrade, downgrade)
        self.upgrade.ops.extend(self.followers)
        self.downgrade.ops[:0] = [each.reverse() for each in self.followers]
        for table in self.tables:
            self._settle_table(table, upgrade, downgrade)
        if not self.answers.missing and self:
            self.plan = plan_of(self.context, self.upgrade, _HEADING, self.unfilled)

    @property
    def unfilled(self) -> set[tuple[str | None, str, str]]:
        """Name the columns that no row has yet, for whoever would count their values."""
        return {pair.place for pair in self.pairs}

    def _settle_column(
        self, column: Expanding, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps
    ) -> None:
        put_in_place(upgrade, lambda op: column.added() if _adds(op, column.new, column) else None)
        upgrade.ops.extend(column.required())
        put_in_place(
            downgrade, lambda op: column.taken_back() if _drops(op, column.new, column) else None
        )
        put_in_place(
            self.upgrade, lambda op: column.dropped() if _drops(op, column.old, column) else None
        )
        self.upgrade.ops[:0] = column.proven()
        put_in_place(
            self.downgrade,
            lambda op: column.brought_back() if _adds(op, column.old, column) else None,
        )
        self.downgrade.ops.extend(column.as_before())
        lost = f"WARNING: {column.pair.subject} comes back"
        self.downgrade.ops[:] = [
            op
            for op in self.downgrade.ops
            if not (isinstance(op, Remark) and op.text.startswith(lost))
        ]

    def _settle_table(
        self, table: BridgedTable, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps
    ) -> None:
        old, new, schema = table.table_name, table.new_table_name, table.schema
        at = next(at for at, op in enumerate(upgrade.ops) if op is table)
        upgrade.ops.insert(at + 1, BridgeTableOp(old, new, schema))
        back = next(at for at, op in enumerate(downgrade.ops) if _renames(op, new, schema))
        downgrade.ops.insert(back, DropTableBridgeOp(old, schema))
        self.upgrade.ops.insert(0, DropTableBridgeOp(old, schema))
        self.downgrade.ops.append(BridgeTableOp(old, new, schema))

    def remarks(self) -> list[str]:
        """Say in the first revision what each version sees."""
        return [text for column in self.columns for text in column.remarks()]

    def append_to(self, directives: list[ops.MigrationScript]) -> None:
        """Have Alembic write the second revision too, and mark both."""
        (first,) = directives
        # Not in place: Alembic gives all scripts of a process the same empty set.
        first.imports = {*first.imports, f'phase = "{EXPAND}"'}
        self.upgrade.ops[:0] = [Remark(text) for text in self._marks()]
        second = ops.MigrationScript(
            uuid.uuid4().hex[-12:],
            self.upgrade,
            self.downgrade,
            message=f"{first.message}, contract",
            imports={f'phase = "{CONTRACT}"'},
            head=first.rev_id,
            version_path=first.version_path,
        )
        directives.append(second)

    def _marks(self) -> Iterator[str]:
        for table in self.tables:
            old = label(table.schema, table.table_name)
            yield f"BREAKING: {old} is {table.new_table_name} alone: versions that use it fail."
        for pair in self.pairs:
            kept = f"{pair.new.name} has its values, and versions that use it fail"
            yield f"DESTRUCTIVE: {pair.subject}: drops the column; {kept}."

    def refuse_other_breakage(self, renames: list[Rename]) -> None:
        """Keep what breaks the running version out of the revision that is to spare it."""
        breaks = [text for text in self.answers.allowed if text.startswith(("BREAK", "DESTR"))]
        if self and (breaks or len(renames) > len(self.tables)):
            raise CommandError(
                "what the running version does not bear cannot be in the revision that expands:"
                " change those models in a revision of its own, before or after.\n"
                + "\n".join(breaks)
            )


def _adds(op: Any, column: Any, expanding: Expanding) -> bool:
    return (
        isinstance(op, ops.AddColumnOp)
        and table_of(op) == (expanding.schema, expanding.table)
        and op.column.name == column.name
    )


def _drops(op: Any, column: Any, expanding: Expanding) -> bool:
    return (
        isinstance(op, ops.DropColumnOp)
        and table_of(op) == (expanding.schema, expanding.table)
        and op.column_name == column.name
    )


def _renames(op: Any, new: str, schema: str | None) -> bool:
    return isinstance(op, ops.RenameTableOp) and (op.schema, op.table_name) == (schema, new)
