"""The copy of the models' tables that is compared: names, cycles and defaults completed."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.schema import sort_tables_and_constraints

from alembic_online.revise.defaults import UnusableDefaultError, database_default
from alembic_online.revise.plain_checks import make_checks_plain
from alembic_online.revise.walking import label

# What PostgreSQL itself calls a constraint that has no name: a downgrade can drop it by that.
POSTGRESQL_NAMES = {
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def completed_metadata(sources: Sequence[sa.MetaData]) -> sa.MetaData:
    """Copy the tables, so that the models stay as they are."""
    copy = _united(sources)
    _break_cycles(copy)
    return copy


def complete_for_comparison(metadata: sa.MetaData, dialect: sa.Dialect) -> None:
    """Make CHECKs the tables' own, and give a database default to who has a scalar one.

    It runs the application's types, so it is for the moment in which models are compared.
    """
    problems = []
    for table in metadata.tables.values():
        make_checks_plain(table, dialect)
        for column in table.columns:
            if column.server_default is None and not column.primary_key:
                try:
                    column.server_default = database_default(column, dialect)
                except UnusableDefaultError as error:
                    problems.append(f"{label(table.schema, table.name, column.name)}: {error}")
    if problems:
        raise CommandError("\n".join(problems))


def _united(sources: Sequence[sa.MetaData]) -> sa.MetaData:
    """Copy all tables into one metadata, each by the conventions that it was declared under."""
    copy = sa.MetaData()
    for source in sources:
        names: Any = POSTGRESQL_NAMES | dict(source.naming_convention)
        copy.naming_convention, copy.schema = names, source.schema
        for table in source.tables.values():
            if table.key in copy.tables:
                raise CommandError(f"table {table.key} is in two of the listed target_metadata")
            table.to_metadata(copy)
    if len(sources) > 1:  # what has no name in its own metadata is to get none in this one
        copy.naming_convention, copy.schema = POSTGRESQL_NAMES, None
    return copy


def _break_cycles(metadata: sa.MetaData) -> None:
    """Mark the foreign keys that can only be made when all their tables exist."""
    sort: Any = sort_tables_and_constraints  # untyped
    for table, constraints in sort(metadata.tables.values()):
        if table is None:
            for constraint in constraints:
                constraint.use_alter = True
