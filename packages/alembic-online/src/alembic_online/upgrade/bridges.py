"""`op.bridge_columns` and `op.bridge_table`: what lets two versions of an application live at once.

Between a deploy's first and last process one of them uses the old name, and one the new.
"""

from alembic.operations import Operations, ops

from alembic_online.postgresql import statement
from alembic_online.upgrade.bridge_sql import (
    ColumnBridge,
    bridge_columns,
    bridge_table,
    drop_column_bridge,
    drop_table_bridge,
    require_filled_sql,
)


@Operations.register_operation("bridge_columns")
class BridgeColumnsOp(ops.MigrateOperation):
    """Two columns of one meaning, in step whichever of them is written."""

    def __init__(self, table_name: str, bridge: ColumnBridge, schema: str | None = None) -> None:
        self.table_name, self.schema, self.bridge = table_name, schema, bridge

    @classmethod
    def bridge_columns(  # noqa: PLR0913  # a directive has what it may be told
        cls,
        operations: Operations,
        table_name: str,
        old: str,
        new: str,
        *,
        using: str | None = None,
        back: str | None = None,
        default: str | None = None,
        required: bool = False,
        schema: str | None = None,
    ) -> None:
        """Have a trigger keep the columns in step; what the client has written decides.

        `using` makes the new value out of the old column, `back` the old value out of the new one;
        without them PostgreSQL assigns the value as it is. A value that cannot be converted leaves
        the other column empty. `default` is the default of the new column, by which an INSERT that
        does not name it is known. `required` says that an INSERT of the old version always has a
        value of its column.
        """
        bridge = ColumnBridge(old, new, using, back, default, required)
        operations.invoke(cls(table_name, bridge, schema))

    @property
    def column_name(self) -> str:
        """Name both columns, for the journal."""
        return f"{self.bridge.old} {self.bridge.new}"


@Operations.register_operation("drop_column_bridge")
class DropColumnBridgeOp(ops.MigrateOperation):
    """The end of a bridge between columns, each of which stays as it is."""

    def __init__(self, table_name: str, column_name: str, schema: str | None = None) -> None:
        self.table_name, self.column_name, self.schema = table_name, column_name, schema

    @classmethod
    def drop_column_bridge(
        cls, operations: Operations, table_name: str, new: str, *, schema: str | None = None
    ) -> None:
        """Drop the trigger that `op.bridge_columns` made for the new column, if it is there."""
        operations.invoke(cls(table_name, new, schema))


@Operations.register_operation("require_filled")
class RequireFilledOp(ops.MigrateOperation):
    """A look at the rows, before what a column was made of is dropped."""

    def __init__(
        self, table_name: str, column_name: str, source: str, schema: str | None = None
    ) -> None:
        self.table_name, self.column_name, self.schema = table_name, column_name, schema
        self.source = source

    @classmethod
    def require_filled(
        cls,
        operations: Operations,
        table_name: str,
        column_name: str,
        source: str,
        *,
        schema: str | None = None,
    ) -> None:
        """Stop if a row has no value in the column, but one of the expression `source`."""
        operations.invoke(cls(table_name, column_name, source, schema))


@Operations.register_operation("bridge_table")
class BridgeTableOp(ops.MigrateOperation):
    """The old name of a table that was renamed, for those who still use it."""

    def __init__(self, old: str, table_name: str, schema: str | None = None) -> None:
        self.old, self.table_name, self.schema = old, table_name, schema

    @classmethod
    def bridge_table(
        cls, operations: Operations, old: str, table_name: str, *, schema: str | None = None
    ) -> None:
        """Leave a view `old` on the table, which the same roles may read and write."""
        operations.invoke(cls(old, table_name, schema))


@Operations.register_operation("drop_table_bridge")
class DropTableBridgeOp(ops.MigrateOperation):
    """The end of a table's old name."""

    def __init__(self, old: str, schema: str | None = None) -> None:
        self.table_name, self.schema = old, schema

    @classmethod
    def drop_table_bridge(
        cls, operations: Operations, old: str, *, schema: str | None = None
    ) -> None:
        """Drop the view that `op.bridge_table` made, if it is there."""
        operations.invoke(cls(old, schema))


def make_column_bridge(operations: Operations, op: BridgeColumnsOp) -> None:
    dialect = operations.migration_context.dialect
    _execute(operations, bridge_columns(dialect, op.schema, op.table_name, op.bridge))


def end_column_bridge(operations: Operations, op: DropColumnBridgeOp) -> None:
    dialect = operations.migration_context.dialect
    _execute(operations, drop_column_bridge(dialect, op.schema, op.table_name, op.column_name))


def require_filled(operations: Operations, op: RequireFilledOp) -> None:
    dialect = operations.migration_context.dialect
    names = (op.schema, op.table_name, op.column_name)
    _execute(operations, [require_filled_sql(dialect, *names, op.source)])


def make_table_bridge(operations: Operations, op: BridgeTableOp) -> None:
    dialect = operations.migration_context.dialect
    _execute(operations, [bridge_table(dialect, op.schema, op.old, op.table_name)])


def end_table_bridge(operations: Operations, op: DropTableBridgeOp) -> None:
    dialect = operations.migration_context.dialect
    _execute(operations, [drop_table_bridge(dialect, op.schema, op.table_name)])


def _execute(operations: Operations, statements: list[str]) -> None:
    """Leave other databases without: there, one version uses the database at a time."""
    context = operations.migration_context
    if context.dialect.name == "postgresql":
        for sql in statements:
            context.execute(statement(sql))
