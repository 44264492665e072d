"""How enum types are written: so that a second run of an interrupted revision does no harm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp
from alembic_postgresql_enum.operations.enum_lifecycle_base import EnumLifecycleOp

from alembic_online.postgresql import literal
from alembic_online.revise.counting import connection_of
from alembic_online.revise.rendering import for_text
from alembic_online.revise.walking import each, table_of


def settle_enum_columns(upgrade: ops.UpgradeOps, default_schema: str | None) -> None:
    """Mend what a new member knows about the columns of its type, for the downgrade.

    That comes to the type last: the columns of this revision have gone again by then, and the
    defaults are the old ones.
    """
    new: set[_Place] = set()
    defaults: dict[_Place, str | None] = {}
    for op in each(upgrade):
        schema, table = table_of(op)
        place = (schema or default_schema, table)
        if isinstance(op, ops.AddColumnOp):
            new.add((*place, op.column.name))
        elif isinstance(op, ops.CreateTableOp):
            new.update((*place, column.name) for column in op.to_table().columns)
        elif isinstance(op, ops.AlterColumnOp) and op.modify_server_default is not False:
            defaults[*place, op.column_name] = _sql(op.existing_server_default)
    for op in each(upgrade):
        if isinstance(op, AddEnumValuesOp):
            columns = {
                (column.table_schema, column.table_name, column.column_name): column
                for column in op.affected_columns
            }
            op.affected_columns = [
                replace(column, existing_server_default=defaults[place])
                if place in defaults
                else column
                for place, column in columns.items()
                if place not in new
            ]


@contextmanager
def types_created(context: MigrationContext, upgrade: ops.UpgradeOps) -> Iterator[None]:
    """Have the revision's new types while the block runs, for the trials that need them."""
    connection = connection_of(context)
    schemas = sa.inspect(connection).get_schema_names()
    with connection.begin_nested() as savepoint:
        for op in each(upgrade):
            if isinstance(op, CreateEnumOp) and op.schema in schemas:
                sa.Enum(*op.enum_values, name=op.name, schema=op.schema).create(connection)
        yield
        savepoint.rollback()


_Place = tuple[str | None, str | None, str]


def _sql(default: Any) -> str | None:
    return str(default.arg) if isinstance(default, sa.DefaultClause) else None


@renderers.dispatch_for(CreateEnumOp, replace=True)
def _render_create(context: AutogenContext, op: CreateEnumOp) -> str:
    return f"{_type(context, op)}.create(op.get_bind(), checkfirst=True)"


@renderers.dispatch_for(DropEnumOp, replace=True)
def _render_drop(context: AutogenContext, op: DropEnumOp) -> str:
    return f"{_type(context, op)}.drop(op.get_bind(), checkfirst=True)"


def _type(context: AutogenContext, op: EnumLifecycleOp) -> str:
    members = ", ".join(map(repr, op.enum_values))
    is_default = op.schema == context.dialect.default_schema_name
    schema = "" if is_default else f", schema={op.schema!r}"
    return f"sa.Enum({members}, name={op.name!r}{schema})"


@renderers.dispatch_for(AddEnumValuesOp, replace=True)
def _render_add_values(context: AutogenContext, op: AddEnumValuesOp) -> list[str]:
    """Commit each new member: before that, nothing may use it, nor a default of this revision."""
    quote_name = context.dialect.identifier_preparer.quote
    name = quote_name(op.name)
    if op.schema != context.dialect.default_schema_name:
        name = f"{quote_name(op.schema)}.{name}"
    add = f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS"
    statements = [for_text(f"{add} {value}", context.dialect) for value in _placed_values(op)]
    return [
        "with op.get_context().autocommit_block():",
        *(f"op.execute({statement!r})" for statement in statements),
        "",
    ]


def _placed_values(op: AddEnumValuesOp) -> Iterator[str]:
    """Yield each new member with its place: after its predecessor, or before the first one."""
    for before, value in zip([None, *op.new_values], op.new_values, strict=False):
        if value in op.old_values:
            continue
        if before is not None:
            yield f"{literal(value)} AFTER {literal(before)}"
        elif op.old_values:
            yield f"{literal(value)} BEFORE {literal(op.old_values[0])}"
        else:
            yield literal(value)
