"""The two revisions of an expansion: columns beside each other at first, then the new one alone."""

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.postgresql import quote
from alembic_online.revise.carrying import default_sql
from alembic_online.revise.conversions import Conversion
from alembic_online.revise.expansions import Expansion
from alembic_online.upgrade.backfill import BackfillOp
from alembic_online.upgrade.bridge_sql import ColumnBridge
from alembic_online.upgrade.bridges import BridgeColumnsOp, DropColumnBridgeOp, RequireFilledOp

Operations = list[ops.MigrateOperation]


class Expanding:
    """The operations of one expansion, in the order in which they are carried out."""

    def __init__(self, context: MigrationContext, expansion: Expansion) -> None:
        self.context, self.expansion, self.pair = context, expansion, expansion.pair
        self.table, self.schema = self.pair.gone.table_name, self.pair.gone.schema
        self.old, self.new = self.pair.old, self.pair.new

    def remarks(self) -> list[str]:
        """Say what each version sees while both run."""
        old, new = self.old.name, self.new.name
        both = (
            f"The running version reads and writes {self.pair.subject}, the next one {new}: a"
            " trigger gives the other column what one of them writes."
        )
        said = [both]
        if not self.expansion.ways.there.is_sure:
            said.append(f"Where a value of {old} does not convert, {new} is empty.")
        if self.expansion.loosens_old:
            said.append(f"Where {new} has no value that fits, {old} is empty, though required.")
        return said

    # --- the first revision

    def added(self) -> Operations:
        """Add the new column, bridge, and fill it."""
        expansion = self.expansion
        return [
            self._add(self.new),
            *self._if(expansion.loosens_old, self._alter(self.old, nullable=True)),
            *self._if(expansion.default, self._default(self.new, None, expansion.default)),
            self._bridge(),
            self._fill(self.old, self.new, expansion.ways.there),
        ]

    def required(self) -> Operations:
        """Prove what the model asks, once all is filled."""
        required = self._alter(self.new, nullable=False)
        return self._if(self.expansion.is_required_now, required)

    def taken_back(self) -> Operations:
        """Drop the new column again."""
        return [
            self._unbridge(),
            self._drop(self.new),
            *self._if(self.expansion.loosens_old, self._alter(self.old, nullable=False)),
        ]

    # --- the second revision

    def proven(self) -> Operations:
        """Make sure that the old column is not needed."""
        there = self.expansion.ways.there
        filled = RequireFilledOp(self.table, self.new.name, there.sql, self.schema)
        required = self._alter(self.new, nullable=False)
        return [
            *self._if(not there.is_sure, filled),
            *self._if(self.expansion.is_required_later, required),
        ]

    def dropped(self) -> Operations:
        return [self._unbridge(), self._drop(self.old), *self._own_default()]

    def brought_back(self) -> Operations:
        """Add the old column again, bridge, and fill it."""
        default = self.old.server_default
        return [
            *self._own_default(back=True),
            self._add(self.old),
            *self._if(default, self._default(self.old, None, default)),
            self._bridge(),
            self._fill(self.new, self.old, self.expansion.ways.back),
        ]

    def as_before(self) -> Operations:
        """Have both columns be what they were before."""
        was_required = not self.old.nullable and not self.expansion.loosens_old
        return [
            *self._if(was_required, self._alter(self.old, nullable=False)),
            *self._if(self.expansion.is_required_later, self._alter(self.new, nullable=True)),
        ]

    # --- their parts

    def _own_default(self, *, back: bool = False) -> Operations:
        """Give the new column the model's default, where it was the old one's so far."""
        carried, wanted = self.expansion.default, self.expansion.wanted_default
        if wanted is None or wanted is carried:
            return []
        before, after = (wanted, carried) if back else (carried, wanted)
        return [self._default(self.new, before, after)]

    def _bridge(self) -> ops.MigrateOperation:
        there, back = self.expansion.ways
        default = self.expansion.default
        bridge = ColumnBridge(
            self.old.name,
            self.new.name,
            None if there.is_plain else there.sql,
            None if back.is_plain else back.sql,
            None if default is None else default_sql(self.context, default),
            required=default is not None and self.old.server_default is None,
        )
        return BridgeColumnsOp(self.table, bridge, self.schema)

    def _unbridge(self) -> ops.MigrateOperation:
        return DropColumnBridgeOp(self.table, self.new.name, self.schema)

    def _fill(
        self, source: sa.Column[Any], target: sa.Column[Any], way: Conversion
    ) -> ops.MigrateOperation:
        old, new = (quote(self.context.dialect, column.name) for column in (source, target))
        where = sa.text(f"{new} IS NULL AND {old} IS NOT NULL")
        return BackfillOp(
            self.table, {target.name: sa.text(way.sql)}, where=where, schema=self.schema
        )

    def _add(self, column: sa.Column[Any]) -> ops.MigrateOperation:
        bare = sa.Column(column.name, column.type, nullable=True, comment=column.comment)
        return self._of_table(ops.AddColumnOp(self.table, bare, schema=self.schema))

    def _drop(self, column: sa.Column[Any]) -> ops.MigrateOperation:
        return self._of_table(ops.DropColumnOp(self.table, column.name, schema=self.schema))

    def _default(self, column: sa.Column[Any], before: Any, after: Any) -> ops.MigrateOperation:
        return self._alter(column, server_default=after, existing_server_default=before)

    def _alter(self, column: sa.Column[Any], **change: Any) -> ops.MigrateOperation:
        names = {"nullable": "modify_nullable", "server_default": "modify_server_default"}
        options = {names.get(name, name): value for name, value in change.items()}
        altered = ops.AlterColumnOp(
            self.table, column.name, schema=self.schema, existing_type=column.type, **options
        )
        return self._of_table(altered)

    def _of_table(self, op: ops.MigrateOperation) -> ops.MigrateOperation:
        """Have each step be a batch of its own on SQLite, so that the next finds it done."""
        return ops.ModifyTableOps(self.table, [op], schema=self.schema)

    @staticmethod
    def _if(condition: object, op: ops.MigrateOperation) -> Operations:
        return [] if condition is None or condition is False else [op]


def put_in_place(
    side: ops.OpContainer, steps: Callable[[ops.MigrateOperation], Iterable[Any] | None]
) -> None:
    """Put `steps` of it in the place of an operation, outside of its table's batch."""
    result: Operations = []
    for table in side.ops:
        if not isinstance(table, ops.ModifyTableOps):
            result.append(table)
            continue
        for op in table.ops:
            found = steps(op)
            kept = ops.ModifyTableOps(table.table_name, [op], schema=table.schema)
            result.extend([kept] if found is None else found)
    side.ops[:] = result
