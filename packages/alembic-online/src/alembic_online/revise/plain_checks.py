"""CHECKs that stand in a type or a column, written as what they are to the database: the table's.

Only those can be rendered, compared and dropped by name in one way.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from alembic_online.revise.rendering import sql_text


def make_checks_plain(table: sa.Table, dialect: sa.Dialect) -> None:
    """Move the CHECKs of types and columns to their table, and give each a name."""
    bound = _bound_to_types(table)
    for check in bound:
        table.constraints.discard(check)
    inline = list(_take_inline(table))
    for check in [*(check for check in bound if _is_made(check, dialect)), *inline]:
        condition = sa.text(sql_text(check.sqltext, dialect))
        table.append_constraint(
            sa.CheckConstraint(condition, name=check.name, **check.dialect_kwargs)
        )
    _name(table, dialect)


def checks_of(table: sa.Table) -> list[sa.CheckConstraint]:
    checks = [check for check in table.constraints if isinstance(check, sa.CheckConstraint)]
    return sorted(checks, key=lambda check: (str(check.name), str(check.sqltext)))


def _bound_to_types(table: sa.Table) -> list[sa.CheckConstraint]:
    """Quiet the types of the table; return their CHECKs, which a copy then does not have."""
    columns = [column for column in table.columns if _makes_check(column.type)]
    if not columns:
        return []
    for column in columns:
        column.type = _quiet(column.type)
    kept = Counter(map(_signature, checks_of(table.to_metadata(sa.MetaData()))))
    bound = []
    for check in checks_of(table):
        if not kept[_signature(check)]:
            bound.append(check)
        kept[_signature(check)] -= 1
    return bound


def _signature(check: sa.CheckConstraint) -> tuple[str, str]:
    return str(check.name), str(check.sqltext)


def _schema_type(type_: Any) -> sa.Enum | sa.Boolean | None:
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.impl_instance
    return type_ if isinstance(type_, sa.Enum | sa.Boolean) else None


def _makes_check(type_: Any) -> bool:
    found = _schema_type(type_)
    return found is not None and bool(found.create_constraint)


def _quiet(type_: Any) -> Any:
    copy = type_.copy()
    if isinstance(copy, sa.TypeDecorator):
        copy.impl = _quiet(type_.impl_instance)
    else:
        copy.create_constraint = False
    return copy


def _is_made(check: sa.CheckConstraint, dialect: sa.Dialect) -> bool:
    """Tell whether the database lacks the type, so that a CHECK stands for it."""
    (column,) = check.columns
    type_ = _schema_type(column.type)
    if isinstance(type_, sa.Enum):
        return not (type_.native_enum and dialect.supports_native_enum)
    return not dialect.supports_native_boolean


def _take_inline(table: sa.Table) -> Iterator[sa.CheckConstraint]:
    for column in table.columns:
        for check in [one for one in column.constraints if isinstance(one, sa.CheckConstraint)]:
            column.constraints.discard(check)
            yield check


def _name(table: sa.Table, dialect: sa.Dialect) -> None:
    """Name those without a name as PostgreSQL does, so that a downgrade can drop them."""
    taken = {str(check.name) for check in checks_of(table)}
    unnamed = {sql_text(each.sqltext, dialect): each for each in checks_of(table) if not each.name}
    for sql, check in sorted(unnamed.items()):
        words = re.findall(r"\w+", sql)
        columns = [column.name for column in table.columns if column.name in words]
        name = "_".join((table.name, *(columns if len(columns) == 1 else ()), "check"))
        choices = (name, *(f"{name}{number}" for number in range(1, len(taken) + 1)))
        check.name = sa.schema.conv(next(choice for choice in choices if choice not in taken))
        taken.add(str(check.name))
