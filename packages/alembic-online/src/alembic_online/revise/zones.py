"""Instants and clock times: which turns into which depends on a time zone, which is asked for."""

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.postgresql import literal
from alembic_online.revise.answers import Answers
from alembic_online.revise.comparing import CONSTANT
from alembic_online.revise.counting import connection_of, rows_of
from alembic_online.revise.retyping import expand_advice
from alembic_online.revise.trial import REWRITES
from alembic_online.revise.using import USING, ConvertColumn
from alembic_online.revise.walking import label, replace_each

_INSTANT, _CLOCK = "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE"
_ZONED = {_INSTANT, "TIME WITH TIME ZONE"}
_TIMES = _ZONED | {_CLOCK, "DATE", "TIME WITHOUT TIME ZONE"}
# Old and new type, and the expression that has no need of the session's TimeZone.
_CONVERSIONS = {
    (_CLOCK, _INSTANT): "{column} AT TIME ZONE {zone}",
    (_INSTANT, _CLOCK): "{column} AT TIME ZONE {zone}",
    ("DATE", _INSTANT): "{column}::timestamp AT TIME ZONE {zone}",
    (_INSTANT, "DATE"): "({column} AT TIME ZONE {zone})::date",
}


def settle_zones(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Have each conversion that depends on a time zone name it, as the developer says."""
    if context.dialect.name != "postgresql":
        return
    replace_each(upgrade, lambda op: _steps(context, op, answers))


def _steps(
    context: MigrationContext, op: ops.MigrateOperation, answers: Answers
) -> list[ops.MigrateOperation]:
    if not isinstance(op, ops.AlterColumnOp) or op.modify_type is None:
        return [op]
    old, new = (_name(type_, context.dialect) for type_ in (op.existing_type, op.modify_type))
    subject = label(op.schema, op.table_name, op.column_name)
    if (old, new) in _CONVERSIONS:
        return _converted(context, op, (old, new), subject, answers)
    if old != new and _depends_on_session({old, new}):
        answers.refuse(
            f"{subject}: from {old} to {new}, the values would depend on settings of the session."
            f"\n{expand_advice(context, op, answers)}"
        )
    return [op]


def _name(type_: Any, dialect: sa.Dialect) -> str:
    return re.sub(r"\(\d+\)", "", type_.compile(dialect=dialect))  # without its precision


def depends_on_session(old: Any, new: Any, dialect: sa.Dialect) -> bool:
    """Tell whether values of one type may become others of the other in another session."""
    names = {_name(old, dialect), _name(new, dialect)}
    is_read = isinstance(old, sa.String) or isinstance(new, sa.String)
    return len(names) > 1 and (_depends_on_session(names) or (is_read and bool(names & _TIMES)))


def expressions_by_zone(
    context: MigrationContext,
    old: sa.Column[Any],
    new: sa.Column[Any],
    subject: str,
    answers: Answers,
) -> tuple[str, ...] | None:
    """Return the ways there and back; none if the zone is missing, None if it is not needed."""
    types = (_name(old.type, context.dialect), _name(new.type, context.dialect))
    if types not in _CONVERSIONS:
        return None
    zone = answers.given("zone", subject)
    if zone is None or not _is_zone(connection_of(context), zone):
        answers.refuse(_asked(zone, f"{subject}: from {types[0]} to {types[1]}", subject))
        return ()
    there, _ = _expressions(context, old.name, types, zone)
    back, _ = _expressions(context, new.name, types[::-1], zone)
    return there, back


def _asked(zone: str | None, effect: str, subject: str) -> str:
    unknown = f"{zone!r} is no time zone that PostgreSQL knows.\n" if zone else ""
    return (
        f"{unknown}{effect}.\nWhat the values are afterwards depends on the time zone"
        f" that their clocks show, such as UTC or Asia/Seoul. Name it:\n"
        f"    -x zone={subject}:UTC"
    )


def _depends_on_session(names: set[str]) -> bool:
    """Tell whether a conversion asks the session for its zone or its currency."""
    elements = {name.removesuffix("[]") for name in names}
    return "MONEY" in elements or (elements <= _TIMES and bool(elements & _ZONED))


def _converted(
    context: MigrationContext,
    op: ops.AlterColumnOp,
    types: tuple[str, str],
    subject: str,
    answers: Answers,
) -> list[ops.MigrateOperation]:
    zone = answers.given("zone", subject)
    rows = rows_of(context, op.schema, op.table_name)
    effect = f"{subject}: from {types[0]} to {types[1]} {REWRITES} ({rows})"
    if zone is None or not _is_zone(connection_of(context), zone):
        advice = expand_advice(context, op, answers)
        answers.refuse(f"{_asked(zone, effect, subject)}\n{advice}")
        return []
    answers.is_given("rewrite", subject)  # may be said, but is part of the answer
    answers.allowed.append(f"BLOCKING: {effect}; clocks are those of {zone}.")
    ways = _expressions(context, op.column_name, types, zone)
    return list(_around_default(context, op, *ways))


def _is_zone(connection: sa.Connection, zone: str) -> bool:
    """Accept full names only: `KST9` and `+09:00` are other zones than they look like."""
    query = sa.text("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :zone)")
    return bool(connection.scalar(query, {"zone": zone}))


def _expressions(
    context: MigrationContext, name: str, types: tuple[str, str], zone: str
) -> tuple[str, str]:
    column = context.dialect.identifier_preparer.quote(name)
    words = {"column": column, "zone": literal(zone)}
    return _CONVERSIONS[types].format(**words), _CONVERSIONS[types[::-1]].format(**words)


def _around_default(
    context: MigrationContext, op: ops.AlterColumnOp, using: str, using_back: str
) -> Iterator[ops.MigrateOperation]:
    """Convert the column, with its constant default out of the way: that would be cast as is."""
    new, found = op.modify_server_default, op.existing_server_default
    sql = _constant(found)
    if sql is not None:
        if new is False:
            new = _converted_default(context, op, using, sql)
        op.modify_server_default, op.existing_server_default = False, None
        yield _default_op(op, found, None, op.existing_type)
    yield _conversion(op, using, using_back)
    if sql is not None and new is not None:
        yield _default_op(op, None, new, op.modify_type)


def _conversion(op: ops.AlterColumnOp, using: str, using_back: str) -> ConvertColumn:
    conversion = ConvertColumn(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=op.existing_type,
        existing_nullable=op.existing_nullable,
        existing_server_default=op.existing_server_default,
        existing_comment=op.existing_comment,
        modify_type=op.modify_type,
        modify_nullable=op.modify_nullable,
        modify_server_default=op.modify_server_default,
        modify_comment=op.modify_comment,
        **op.kw | {USING: using},
    )
    conversion.using_back = using_back
    return conversion


def _constant(default: Any) -> str | None:
    sql = str(default.arg) if isinstance(default, sa.DefaultClause) else ""
    return sql if CONSTANT.fullmatch(sql) else None


def _converted_default(
    context: MigrationContext, op: ops.AlterColumnOp, using: str, sql: str
) -> sa.DefaultClause:
    column = context.dialect.identifier_preparer.quote(op.column_name)
    query = f"SELECT CAST({using} AS text) FROM (SELECT {sql} AS {column}) AS value"  # noqa: S608
    return sa.DefaultClause(connection_of(context).exec_driver_sql(query).scalar_one())


def _default_op(op: ops.AlterColumnOp, old: Any, new: Any, type_: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=type_,
        existing_server_default=old,
        modify_server_default=new,
    )
