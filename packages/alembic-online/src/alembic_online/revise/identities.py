"""Columns that number their rows: what differs between the database's way and the model's.

Alembic would add an identity to a column that has a default, start it at 1, and take the serial
column's default away without another. The change is put into words here, in numbering.py into SQL.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import literal, quote, reason, shortened, statement
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import connection_of
from alembic_online.revise.numbering import ChangeNumbering, Plain, Serial, usual_range
from alembic_online.revise.rendering import sql_text
from alembic_online.revise.trial import empty_copy
from alembic_online.revise.walking import label, replace_each

_OPTIONS = ("start", "increment", "minvalue", "maxvalue", "cache", "cycle")
_BITS = {sa.SmallInteger: 15, sa.BigInteger: 63}  # the rest has 31


def compare_identity(
    change: ops.AlterColumnOp, found: sa.Column[Any], wanted: sa.Column[Any]
) -> None:
    """Note how the numbering changes, where one of the two is an Identity."""
    old, new = found.server_default, wanted.server_default
    if isinstance(new, sa.Identity):
        completed = _completed(new, old, found, wanted)
        if not isinstance(old, sa.Identity) or _options(old) != _options(completed):
            change.modify_server_default = completed
        if found.nullable and not wanted.nullable:  # which Alembic passes over
            change.modify_nullable = False
    elif isinstance(old, sa.Identity):
        if new is not None or _is_serial(wanted):
            change.modify_server_default = new
        elif old.always:  # else it stays, as any default that left the model
            change.modify_server_default = _completed(sa.Identity(), old, found, wanted, keep=True)


def _completed(
    identity: sa.Identity,
    old: Any,
    found: sa.Column[Any],
    wanted: sa.Column[Any],
    *,
    keep: bool = False,
) -> sa.Identity:
    """State every option, as reflection does; where it says nothing, it starts as it did."""
    usual = _usual(identity.increment or 1, wanted.type)
    if isinstance(old, sa.Identity):
        before = _usual(old.increment or 1, found.type)
        for name in _OPTIONS:
            if keep or name == "start" or getattr(old, name) == before[name]:
                usual[name] = getattr(old, name)
    given = {name: getattr(identity, name) for name in _OPTIONS}
    options = {name: usual[name] if given[name] is None else given[name] for name in _OPTIONS}
    if given["start"] is None and not isinstance(old, sa.Identity):
        options["start"] = options["minvalue" if options["increment"] > 0 else "maxvalue"]
    return sa.Identity(always=bool(identity.always), **options)


def _usual(increment: int, type_: Any) -> dict[str, Any]:
    bits = next((bits for kind, bits in _BITS.items() if isinstance(type_, kind)), 31)
    least, most = usual_range(increment, bits)
    usual = {"increment": 1, "minvalue": least, "maxvalue": most, "cache": 1, "cycle": False}
    return usual | {"start": least if increment > 0 else most}


def _options(identity: sa.Identity) -> list[Any]:
    return [bool(identity.always), *(getattr(identity, name) for name in _OPTIONS)]


def _is_serial(column: sa.Column[Any]) -> bool:
    return column.table is not None and column.table.autoincrement_column is column


def settle_identities(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Put the right operations in place of Alembic's change of the default."""
    replace_each(upgrade, lambda op: _steps(context, op, answers))


def _steps(
    context: MigrationContext, op: ops.MigrateOperation, answers: Answers
) -> list[ops.MigrateOperation]:
    if not isinstance(op, ops.AlterColumnOp) or op.modify_server_default is False:
        return [op]
    old, new = op.existing_server_default, op.modify_server_default
    if sa.Identity not in {type(old), type(new)}:
        return [op]
    if isinstance(new, sa.Identity) and _is_optional(op):
        subject = label(op.schema, op.table_name, op.column_name)
        answers.refuse(f"{subject}: an Identity column has to be required (nullable=False)")
    numbering = _numbering(context, op, old, new)
    if isinstance(new, sa.Identity) and not answers.missing:
        _try(context, op, numbering, answers)
    op.modify_server_default = False
    return [*([op] if op.has_changes() else []), numbering]


def _is_optional(op: ops.AlterColumnOp) -> bool:
    return bool(op.existing_nullable if op.modify_nullable is None else op.modify_nullable)


def _numbering(
    context: MigrationContext, op: ops.AlterColumnOp, old: Any, new: Any
) -> ChangeNumbering:
    type_: Any = op.modify_type or op.existing_type
    return ChangeNumbering(
        op.table_name,
        op.schema,
        op.column_name,
        type_.compile(dialect=context.dialect),
        old if isinstance(old, sa.Identity) else _found(context, op),
        new if isinstance(new, sa.Identity) else _wanted(context, op, new),
    )


def _found(context: MigrationContext, op: ops.AlterColumnOp) -> Serial | Plain:
    table = quote(context.dialect, op.schema, op.table_name)
    query = sa.select(sa.func.pg_get_serial_sequence(table, op.column_name))
    if sequence := connection_of(context).scalar(query):
        return Serial(sequence)
    return _plain(context, op.existing_server_default)


def _wanted(context: MigrationContext, op: ops.AlterColumnOp, new: Any) -> Serial | Plain:
    if new is not None:
        return _plain(context, new)
    name = shortened(f"{op.table_name}_{op.column_name}", "_seq")
    schema = op.schema or context.dialect.default_schema_name
    return Serial(quote(context.dialect, schema, name))


def _plain(context: MigrationContext, default: Any) -> Plain:
    argument: Any = getattr(default, "arg", None)
    if argument is None or isinstance(argument, str):
        return Plain(argument and literal(argument))
    return Plain(sql_text(argument, context.dialect))


def _try(
    context: MigrationContext, op: ops.AlterColumnOp, numbering: ChangeNumbering, answers: Answers
) -> None:
    """Let PostgreSQL see the options, on an empty copy, which has no sequence of its own."""
    connection = connection_of(context)
    old = numbering.old if isinstance(numbering.old, sa.Identity) else Plain(None)
    try:
        with empty_copy(connection, sa.table(op.table_name, schema=op.schema)) as copy:
            if op.has_changes():
                context.impl.alter_column(
                    copy.name,
                    op.column_name,
                    schema=copy.schema,
                    type_=op.modify_type,
                    existing_type=op.existing_type,
                    nullable=op.modify_nullable,
                )
            for sql in replace(numbering, schema=copy.schema, old=old).sql(context.dialect):
                connection.execute(statement(sql))
    except DBAPIError as error:
        subject = label(op.schema, op.table_name, op.column_name)
        answers.refuse(f"{subject}: PostgreSQL refuses this Identity: {reason(error)}")
