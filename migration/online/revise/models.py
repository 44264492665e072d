"""The copy of the models' tables that is compared: names, cycles and defaults completed."""

from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.schema import sort_tables_and_constraints

from migration.online.revise.defaults import UnusableDefaultError, database_default
from migration.online.revise.walking import label

# What PostgreSQL itself calls a constraint that has no name: a downgrade can drop it by that.
POSTGRESQL_NAMES = {
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def completed_metadata(metadata: sa.MetaData) -> sa.MetaData:
    """Copy the tables, so that the models stay as they are."""
    names: Any = POSTGRESQL_NAMES | dict(metadata.naming_convention)
    copy = sa.MetaData(schema=metadata.schema, naming_convention=names)
    for table in metadata.tables.values():
        table.to_metadata(copy)
    _break_cycles(copy)
    return copy


def complete_defaults(metadata: sa.MetaData, dialect: sa.Dialect) -> None:
    """Give each column a database default whose model has a scalar one.

    It runs the application's types, so it is for the moment in which defaults are compared.
    """
    problems = []
    for table in metadata.tables.values():
        for column in table.columns:
            if column.server_default is None and not column.primary_key:
                try:
                    column.server_default = database_default(column, dialect)
                except UnusableDefaultError as error:
                    problems.append(f"{label(table.schema, table.name, column.name)}: {error}")
    if problems:
        raise CommandError("\n".join(problems))


def _break_cycles(metadata: sa.MetaData) -> None:
    """Mark the foreign keys that can only be made when all their tables exist."""
    sort: Any = sort_tables_and_constraints  # untyped
    for table, constraints in sort(metadata.tables.values()):
        if table is None:
            for constraint in constraints:
                constraint.use_alter = True
