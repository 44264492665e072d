"""Columns: what is declared with one is added after it, and NOT NULL is proven before it is set."""

import sqlalchemy as sa
from alembic.operations import ops, toimpl

from migration.online import postgresql
from migration.online.upgrade.constraints import add_constraint, validate
from migration.online.upgrade.indexes import build_index
from migration.online.upgrade.step import Step

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
    (column,) = table.columns
    indexes = sorted(table.indexes, key=lambda found: str(found.name))
    constraints = [*_take_checks(column), *table.constraints - {table.primary_key}]
    if not (step.resuming and postgresql.has_column(step.connection, table, column.name)):
        _add_bare_column(step, operation, column)
    for constraint in sorted(constraints, key=lambda found: str(found.name)):
        add_constraint(step, constraint)
    for index in indexes:
        build_index(step, index)


def _take_checks(column: sa.Column[object]) -> list[sa.CheckConstraint]:
    """Move CHECKs from the column to its table: inline, they would be proven under the lock."""
    inline = [found for found in column.constraints if isinstance(found, sa.CheckConstraint)]
    column.constraints.difference_update(inline)
    checks = [
        sa.CheckConstraint(check.sqltext, name=check.name, **check.dialect_kwargs)
        for check in inline
    ]
    for check in checks:
        if check.name is None:
            base = f"{column.table.name}_{column.name}"
            check.name = sa.schema.conv(postgresql.shortened(base, "_check"))
        column.table.append_constraint(check)
    return checks


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
