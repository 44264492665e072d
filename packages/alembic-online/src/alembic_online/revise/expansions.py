"""Columns that become others while two versions run: which, how, and what each version finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.adding import check_value
from alembic_online.revise.answers import Answers
from alembic_online.revise.carrying import carried_default
from alembic_online.revise.conversions import Ways, conversions
from alembic_online.revise.counting import connection_of
from alembic_online.revise.walking import label, model_of


@dataclass
class Pair:
    """A column that is gone, and the new one that takes its place."""

    gone: ops.DropColumnOp
    added: ops.AddColumnOp
    new: sa.Column[Any]  # as the model has it

    @property
    def table(self) -> sa.TableClause:
        return sa.table(self.gone.table_name, schema=self.gone.schema)

    @property
    def old(self) -> sa.Column[Any]:
        return self.gone.to_column()

    def leave_optional(self) -> None:
        """Have the new column be added without what no row can have yet."""
        column = self.new
        self.added.column = sa.Column(
            column.name, column.type, key=column.key, nullable=True, comment=column.comment
        )

    @property
    def place(self) -> tuple[str | None, str, str]:
        """Name the new column."""
        return self.gone.schema, self.gone.table_name, self.new.name

    @property
    def subject(self) -> str:
        return label(self.gone.schema, self.gone.table_name, self.gone.column_name)


@dataclass
class Expansion:
    """A pair for as long as both are there."""

    pair: Pair
    ways: Ways
    default: sa.DefaultClause | None  # of the new column, which then tells who wrote a row
    wanted_default: Any  # what the model says

    @property
    def is_required_now(self) -> bool:
        """Tell whether the new column can be required while the old version writes."""
        pair = self.pair
        return not (pair.new.nullable or pair.old.nullable) and self.ways.there.is_sure

    @property
    def is_required_later(self) -> bool:
        return not self.pair.new.nullable and not self.is_required_now

    @property
    def loosens_old(self) -> bool:
        """Tell whether the new version may have nothing that fits a required old column."""
        pair = self.pair
        return not pair.old.nullable and (pair.new.nullable or not self.ways.back.is_sure)


def pairs_of(upgrade: ops.UpgradeOps, answers: Answers) -> list[Pair]:
    """Find what `-x expand=` names."""
    return [
        pair
        for table in upgrade.ops
        if isinstance(table, ops.ModifyTableOps)
        for pair in _pairs(table)
        if answers.expands(pair.subject, pair.gone.column_name, pair.new.name)
    ]


def _pairs(table: ops.ModifyTableOps) -> Iterator[Pair]:
    for gone in table.ops:
        for added in table.ops:
            if isinstance(gone, ops.DropColumnOp) and isinstance(added, ops.AddColumnOp):
                yield Pair(gone, added, added.column)


def expansion_of(context: MigrationContext, pair: Pair, answers: Answers) -> Expansion | None:
    """Find out how the pair is kept in step; refuse it if that cannot be."""
    if (why := _unfit(context, pair)) is not None:
        answers.refuse(f"{pair.subject} cannot be expanded: {why}.")
        return None
    check_value(context, label(*pair.place), pair.new, answers)
    ways = conversions(context, pair.table, pair.old, pair.new, answers)
    if ways is None:
        return None
    default = carried_default(context, pair.old, pair.new, ways)
    return Expansion(pair, ways, default, pair.new.server_default)


def _unfit(context: MigrationContext, pair: Pair) -> str | None:
    inspector = sa.inspect(connection_of(context))
    keys = inspector.get_pk_constraint(pair.gone.table_name, pair.gone.schema)
    columns = {*keys["constrained_columns"]}
    if not columns:
        return "a back-fill goes by the primary key, and its table has none"
    if pair.old.name in columns or model_of(context, pair.added).columns[pair.new.name].primary_key:
        return "it is of the primary key, which others refer to"
    for column in (pair.old, pair.new):
        default = column.server_default
        if isinstance(default, sa.Computed | sa.Identity) or "nextval(" in _sql(default):
            return f"the database makes the values of {column.name}"
    return None


def _sql(default: Any) -> str:
    return str(getattr(default, "arg", ""))
