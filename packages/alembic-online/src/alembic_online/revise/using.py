"""How values get into another type where PostgreSQL does not convert them by itself: USING."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.add_postgres_using_to_text import PostgresUsingAlterColumnOp
from sqlalchemy.exc import DBAPIError

from alembic_online.revise.trial import is_refused_back
from alembic_online.revise.walking import each, table_of

USING = "postgresql_using"


class ConvertColumn(ops.AlterColumnOp):
    """`op.alter_column(type_=..., postgresql_using=...)`, which knows its way back."""

    using_back = ""

    def reverse(self) -> "ConvertColumn":
        back = super().reverse()
        assert isinstance(back, ConvertColumn)  # noqa: S101  # its own class
        back.kw[USING], back.using_back = self.using_back, self.kw[USING]
        return back


Place = tuple[str | None, str | None, str]


def settle_using(context: MigrationContext, upgrade: ops.UpgradeOps) -> None:
    """Convert to enum types by way of text; names are quoted that need it."""
    for op in each(upgrade):
        if isinstance(op, ops.AlterColumnOp) and _needs_text(op):
            op.kw[USING] = _using(op, context.dialect)


def _needs_text(op: ops.AlterColumnOp) -> bool:
    is_enum = isinstance(op, PostgresUsingAlterColumnOp)  # as the library of enums has found
    return is_enum or (_is_enums(op.modify_type) and _is_enums(op.existing_type))


def _is_enums(type_: Any) -> bool:
    return isinstance(type_, sa.ARRAY) and isinstance(type_.item_type, sa.Enum)


def one_way_columns(context: MigrationContext, upgrade: ops.UpgradeOps) -> set[Place]:
    """Find the columns whose old type PostgreSQL does not give back without a USING."""
    return {
        (*table_of(op), op.column_name)
        for op in each(upgrade)
        if isinstance(op, ops.AlterColumnOp) and not isinstance(op, ConvertColumn)
        if op.modify_type is not None and _is_one_way(context, op)
    }


def _is_one_way(context: MigrationContext, op: ops.AlterColumnOp) -> bool:
    try:
        return is_refused_back(context, op)
    except DBAPIError:  # not even the way there is possible, which is refused elsewhere
        return False


def settle_way_back(
    context: MigrationContext, downgrade: ops.DowngradeOps, places: set[Place]
) -> None:
    for op in each(downgrade):
        if isinstance(op, ops.AlterColumnOp) and (*table_of(op), op.column_name) in places:
            op.kw[USING] = _using(op, context.dialect)


def _using(op: ops.AlterColumnOp, dialect: sa.Dialect) -> str:
    column = dialect.identifier_preparer.quote(op.column_name)
    new: Any = op.modify_type
    text = "text[]" if isinstance(op.existing_type, sa.ARRAY) else "text"
    return f"{column}::{text}::{new.compile(dialect=dialect)}"


_alembics_alter = renderers.dispatch(ops.AlterColumnOp)


@renderers.dispatch_for(ops.AlterColumnOp, replace=True)
@renderers.dispatch_for(PostgresUsingAlterColumnOp, replace=True)
def _render(context: AutogenContext, op: ops.AlterColumnOp) -> str:
    rendered: str = _alembics_alter(context, op)
    using = op.kw.get(USING)
    return f"{rendered.removesuffix(')')}, {USING}={using!r})" if using else rendered
