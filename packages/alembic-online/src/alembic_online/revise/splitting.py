"""What goes with an expanded column waits for the second revision, under names that are free."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online import postgresql
from alembic_online.revise.answers import Answers
from alembic_online.revise.checks import conditions_of
from alembic_online.revise.counting import connection_of
from alembic_online.revise.expansions import Pair
from alembic_online.revise.items import columns_of, item_of
from alembic_online.revise.operations import RenameConstraint
from alembic_online.revise.plain_checks import checks_of
from alembic_online.revise.rendering import escape_colons, sql_text
from alembic_online.revise.swapping import name_of, rename_to
from alembic_online.revise.walking import each, model_of, replace_each, table_of

_Created = ops.CreateIndexOp | ops.AddConstraintOp
_Dropped = ops.DropIndexOp | ops.DropConstraintOp


def split_off(
    context: MigrationContext, upgrade: ops.UpgradeOps, pairs: list[Pair], answers: Answers
) -> tuple[ops.UpgradeOps, list[RenameConstraint]]:
    """Move what takes the old columns away out of the revision; return it, and what follows."""
    for pair in pairs if context.dialect.name == "postgresql" else ():
        _take_along(context, upgrade, pair)
    later = [op for op in each(upgrade) if any(_goes_with(context, op, pair) for pair in pairs)]
    for op in each(upgrade):
        if any(_refers_to(op, pair) for pair in pairs):
            answers.refuse(f"{name_of(op)} refers to a column that is expanded: drop it before.")
    replace_each(upgrade, lambda op: () if op in later else (op,))
    renames = list(_freed_names(upgrade, later))
    return ops.UpgradeOps([_of_table(op) for op in later]), renames


def _of_table(op: Any) -> ops.MigrateOperation:
    schema, table = table_of(op)
    return ops.ModifyTableOps(str(table), [op], schema=schema)


def _goes_with(context: MigrationContext, op: Any, pair: Pair) -> bool:
    if table_of(op) != table_of(pair.gone):
        return False
    if isinstance(op, ops.DropColumnOp):
        return op.column_name == pair.gone.column_name
    return isinstance(op, _Dropped) and _is_about(context, item_of(op), pair.gone.column_name)


def _refers_to(op: Any, pair: Pair) -> bool:
    """Tell whether the foreign key of another table has the old column as its target."""
    if not (isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"):
        return False
    target = ".".join(filter(None, (*table_of(pair.gone), pair.gone.column_name)))
    return target in {element.target_fullname for element in item_of(op).elements}


def _freed_names(upgrade: ops.UpgradeOps, later: list[Any]) -> Iterator[RenameConstraint]:
    """Make what has the name of something old under another one, until that is gone."""
    dropped = {(table_of(op), name_of(op)) for op in later if isinstance(op, _Dropped)}
    for op in each(upgrade):
        if isinstance(op, _Created) and (table_of(op), name_of(op)) in dropped:
            (schema, table), name = table_of(op), name_of(op)
            rename_to(op, postgresql.shortened(name, "_new"))
            is_index = isinstance(op, ops.CreateIndexOp | ops.CreateUniqueConstraintOp)
            yield RenameConstraint(str(table), schema, name_of(op), name, is_index)


def _take_along(context: MigrationContext, upgrade: ops.UpgradeOps, pair: Pair) -> None:
    """Make anew what keeps its name: while the old column is there, it does not look new."""
    settled = {name_of(op) for op in each(upgrade) if isinstance(op, _Created | _Dropped)}
    schema, table = pair.gone.schema, pair.gone.table_name
    found = sa.Table(
        table,
        sa.MetaData(),
        schema=schema,
        autoload_with=connection_of(context),
        resolve_fks=False,
    )
    for before, after in _namesakes(context, found, model_of(context, pair.added)):
        is_about = _is_about(context, after, pair.new.name)
        if str(after.name) not in settled and is_about:
            both = [_dropped(before), _created(after)]
            upgrade.ops.append(ops.ModifyTableOps(table, both, schema=schema))


def _namesakes(
    context: MigrationContext, found: sa.Table, model: sa.Table
) -> Iterator[tuple[Any, Any]]:
    indexes = {str(index.name): index for index in found.indexes}
    for index in sorted(model.indexes, key=lambda each: str(each.name)):
        if str(index.name) in indexes:
            yield indexes[str(index.name)], index
    stored = conditions_of(connection_of(context), found)
    for check in checks_of(model):
        if str(check.name) in stored:
            condition = sa.text(escape_colons(stored[str(check.name)]))
            before = sa.CheckConstraint(condition, name=check.name)
            found.append_constraint(before)
            yield before, check


def _is_about(context: MigrationContext, item: Any, column: str) -> bool:
    """Tell whether an index or constraint has the column, maybe by a name that is no word."""
    if column in columns_of(item, context.dialect):
        return True
    quoted = postgresql.quote(context.dialect, column)
    where = dict(item.dialect_kwargs).get("postgresql_where")
    conditions = [getattr(item, "sqltext", None), where, *getattr(item, "expressions", ())]
    return any(
        quoted in sql_text(condition, context.dialect)
        for condition in conditions
        if isinstance(condition, sa.ClauseElement)
    )


def _dropped(item: Any) -> ops.MigrateOperation:
    is_index = isinstance(item, sa.Index)
    kind: Any = ops.DropIndexOp.from_index if is_index else ops.DropConstraintOp.from_constraint
    dropped: ops.MigrateOperation = kind(item)
    return dropped


def _created(item: Any) -> ops.MigrateOperation:
    is_index = isinstance(item, sa.Index)
    kind: Any = ops.CreateIndexOp.from_index if is_index else ops.AddConstraintOp.from_constraint
    created: ops.MigrateOperation = kind(item)
    return created
