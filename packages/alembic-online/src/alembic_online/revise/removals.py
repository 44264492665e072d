"""Indexes, constraints and types that no model has: they go if the developer says so.

Some are nobody's leftovers, but what somebody made by hand because production needs it.
"""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp

from alembic_online.postgresql import users_of_type
from alembic_online.revise.answers import Answers
from alembic_online.revise.checks import condition_as_stored
from alembic_online.revise.counting import connection_of
from alembic_online.revise.items import columns_of, item_of
from alembic_online.revise.unmanaged import advice
from alembic_online.revise.walking import Table, each, label, short_schema, table_of

_KINDS = {
    "unique": "unique constraint",
    "foreignkey": "foreign key",
    "check": "CHECK",
    "primary": "primary key",
}


@dataclass
class Going:
    """What the rest of the revision takes away, or replaces."""

    context: MigrationContext
    tables: set[Table] = field(default_factory=set)
    columns: set[tuple[Table, str]] = field(default_factory=set)
    retyped: set[tuple[Table, str]] = field(default_factory=set)
    made: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, context: MigrationContext, upgrade: ops.UpgradeOps) -> "Going":
        going = cls(context)
        for op in each(upgrade):
            if isinstance(op, ops.DropTableOp):
                going.tables.add(table_of(op))
            elif isinstance(op, ops.DropColumnOp):
                going.columns.add((table_of(op), op.column_name))
            elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
                going.retyped.add((table_of(op), op.column_name))
            elif isinstance(op, ops.CreateIndexOp | ops.AddConstraintOp):
                going.made.append(op)
        return going

    def takes(self, op: ops.DropIndexOp | ops.DropConstraintOp) -> bool:
        """Tell whether the item is gone or replaced anyway, by what was asked about already."""
        item = item_of(op)
        if table_of(op) in self.tables or _target(item) in self.tables:
            return True
        if any(
            (table_of(op), name) in self.columns for name in columns_of(item, self.context.dialect)
        ):
            return True
        return any(self._replaces(made, op) for made in self.made)

    def _replaces(self, made: Any, op: ops.DropIndexOp | ops.DropConstraintOp) -> bool:
        """Tell whether what is made does the same, or more: what is unique finds rows too."""
        if table_of(made) != table_of(op):
            return False
        old, new = item_of(op), item_of(made)
        if str(old.name) == str(new.name):
            return True
        (had, *of_old), (has, *of_new) = self._rule(op, old), self._rule(made, new)
        return of_old == of_new and (had == has or (had, has) == ("finds", "unique"))

    def _rule(self, op: Any, item: Any) -> tuple[Any, ...]:
        """Return what an index or constraint does, and to what."""
        columns = [str(getattr(column, "name", column)) for column in _parts(item)]
        if isinstance(item, sa.ForeignKeyConstraint):
            targets = [element.target_fullname for element in item.elements]
            return ("refers", columns, targets, item.ondelete, item.onupdate)
        if isinstance(item, sa.CheckConstraint):
            connection, (schema, table) = connection_of(self.context), table_of(op)
            found = sa.table(str(table), schema=schema)
            stored = condition_as_stored(connection, found, item.sqltext)
            return ("checks", stored or str(item.sqltext))
        partial = str(item.dialect_kwargs.get("postgresql_where"))
        is_unique = isinstance(item, sa.UniqueConstraint) or item.unique
        return ("unique" if is_unique else "finds", columns, partial)


def review_removals(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    going = Going.of(context, upgrade)
    for op in each(upgrade):
        if isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) and not going.takes(op):
            _ask(op, answers)
        elif isinstance(op, DropEnumOp):
            _ask_about_type(context, op, going, answers)


def _ask(op: ops.DropIndexOp | ops.DropConstraintOp, answers: Answers) -> None:
    item = item_of(op)
    is_index = isinstance(op, ops.DropIndexOp)
    kind = ("unique index" if item.unique else "index") if is_index else _KINDS[_kind(op)]
    schema, table = table_of(op)
    if item.name:
        subject = label(schema, str(table), str(item.name))
        effect = f"drops the {kind}, which no model has"
        answers.allow("drop", subject, effect, _advice(subject))


def _kind(op: Any) -> str:
    return str(op.constraint_type or "check")


def _ask_about_type(
    context: MigrationContext, op: DropEnumOp, going: Going, answers: Answers
) -> None:
    for user_schema, table, column in users_of_type(connection_of(context), op.schema, op.name):
        place = (short_schema(context, user_schema), table)
        if place in going.tables or (place, column) in going.columns | going.retyped:
            return
    subject = label(short_schema(context, op.schema), op.name)
    members = ", ".join(op.enum_values)
    effect = f"drops the type ({members}), which no model has"
    answers.allow("drop", subject, effect, _advice(subject))


def _advice(subject: str) -> str:
    return f"To have it compared, write it into the model. {advice(subject)}"


def _target(item: Any) -> Table | None:
    if not isinstance(item, sa.ForeignKeyConstraint):
        return None
    *schema, table, _ = item.elements[0].target_fullname.split(".")
    return (schema[0] if schema else None, table)


def _parts(item: Any) -> list[Any]:
    return list(item.expressions if isinstance(item, sa.Index) else getattr(item, "columns", ()))
