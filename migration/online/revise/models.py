"""The copy of the models' tables that is compared: names, defaults and cycles completed."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import sort_tables_and_constraints

from migration.online.revise.defaults import database_default
from migration.online.revise.plain_checks import make_checks_plain

# What PostgreSQL itself calls a constraint that has no name: a downgrade can drop it by that.
POSTGRESQL_NAMES = {
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def completed_metadata(metadata: sa.MetaData, dialect: sa.Dialect) -> sa.MetaData:
    """Copy the tables, with a database default wherever the model has a scalar one."""
    names: Any = POSTGRESQL_NAMES | dict(metadata.naming_convention)
    copy = sa.MetaData(schema=metadata.schema, naming_convention=names)
    for table in metadata.tables.values():
        table.to_metadata(copy)
    _break_cycles(copy)
    for table in copy.tables.values():
        make_checks_plain(table, dialect)
        for column in table.columns:
            if column.server_default is None and not column.primary_key:
                column.server_default = database_default(column, dialect)
    return copy


def _break_cycles(metadata: sa.MetaData) -> None:
    """Mark the foreign keys that can only be made when all their tables exist."""
    sort: Any = sort_tables_and_constraints  # untyped
    for table, constraints in sort(metadata.tables.values()):
        if table is None:
            for constraint in constraints:
                constraint.use_alter = True
