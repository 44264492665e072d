"""Columns: what is declared with one is added after it, and NOT NULL is proven before it is set."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic.operations import ops, toimpl

from alembic_online import postgresql
from alembic_online.upgrade.constraints import add_constraint, validate
from alembic_online.upgrade.indexes import build_index
from alembic_online.upgrade.refusal import RowsRefuseError
from alembic_online.upgrade.step import Step

_PROOF = "alembic_not_null_"  # not the name that PostgreSQL 18 gives to NOT NULL itself


def add_column(step: Step, operation: ops.AddColumnOp) -> None:
    """Add a column, then the constraints and indexes that were declared with it."""
    table = step.operations.schema_obj.table(
        operation.table_name, operation.column, schema=operation.schema
    )
    inline = operation.inline_references or operation.inline_primary_key
    if inline or not step.is_live(table):
        toimpl.add_column(step.operations, operation)
        return
    column = table.columns[operation.column.name]  # with a key to its own table it is not alone
    constraints = [*_constraints(table, column), *_take_checks(table, column)]
    indexes = sorted(table.indexes, key=_name)
    if not (step.resuming and postgresql.has_column(step.connection, table, column.name)):
        _add_bare_column(step, operation, column)
    try:
        for constraint in sorted(constraints, key=_name):
            add_constraint(step, constraint)
        for index in indexes:
            build_index(step, index)
    except RowsRefuseError:
        if not operation.if_not_exists:  # else it may have been there before
            with step.outside_transaction():
                step.operations.impl.drop_column(
                    operation.table_name, column, schema=operation.schema
                )
        raise


def _name(item: sa.Constraint | sa.Index) -> str:
    return str(item.name)


def _constraints(table: sa.Table, column: sa.Column[object]) -> Iterator[sa.Constraint]:
    """Return what SQLAlchemy has made constraints of the table."""
    kind = column.type
    native = isinstance(kind, sa.Boolean) or (isinstance(kind, sa.Enum) and kind.native_enum)
    for constraint in table.constraints - {table.primary_key}:
        # The CHECK of a type is for databases that do not have the type.
        if not (native and isinstance(constraint, sa.CheckConstraint)):
            yield constraint


def _take_checks(table: sa.Table, column: sa.Column[object]) -> Iterator[sa.CheckConstraint]:
    """Make the column's own CHECKs the table's: inline, they would be proven under its lock."""
    for check in [found for found in column.constraints if isinstance(found, sa.CheckConstraint)]:
        column.constraints.remove(check)
        default = postgresql.shortened(f"{table.name}_{column.name}", "_check")
        moved = sa.CheckConstraint(
            check.sqltext, name=check.name or sa.schema.conv(default), **check.dialect_kwargs
        )
        table.append_constraint(moved)
        yield moved


def _add_bare_column(step: Step, operation: ops.AddColumnOp, column: sa.Column[object]) -> None:
    impl = step.operations.impl
    impl.add_column(
        operation.table_name,
        column,
        schema=operation.schema,
        if_not_exists=operation.if_not_exists,
    )
    if column.comment is not None:
        impl.create_column_comment(column)


def alter_column(step: Step, operation: ops.AlterColumnOp) -> None:
    """Prove by a CHECK that there is no NULL, so that SET NOT NULL need not look."""
    table = sa.Table(operation.table_name, sa.MetaData(), schema=operation.schema)
    opted_out = operation.kw.pop("postgresql_not_valid", None) is False
    if operation.modify_nullable is not False or opted_out or not step.is_live(table):
        toimpl.alter_column(step.operations, operation)
        return
    quoted = step.quoted(table)
    column, proof = operation.column_name, postgresql.shortened(_PROOF + operation.column_name)
    name = step.quote(proof)
    if step.resuming:
        step.execute(f"ALTER TABLE {quoted} DROP CONSTRAINT IF EXISTS {name}")
    step.execute(
        f"ALTER TABLE {quoted} ADD CONSTRAINT {name}"
        f" CHECK ({step.quote(column)} IS NOT NULL) NOT VALID"
    )
    validate(step, table, proof, broken_by=f"{table.fullname}.{column} has rows with NULL.")
    toimpl.alter_column(step.operations, operation)
    step.execute(f"ALTER TABLE {quoted} DROP CONSTRAINT {name}")
