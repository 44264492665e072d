"""The copy of the models' tables that is compared: names, defaults and cycles completed."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.schema import sort_tables_and_constraints

from alembic_online.revise.defaults import database_default

# What PostgreSQL itself calls a constraint that has no name: a downgrade can drop it by that.
POSTGRESQL_NAMES = {
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def completed_metadata(sources: Sequence[sa.MetaData], dialect: sa.Dialect) -> sa.MetaData:
    """Copy the tables, with a database default wherever the model has a scalar one."""
    copy = _united(sources)
    _break_cycles(copy)
    for table in copy.tables.values():
        for column in table.columns:
            if column.server_default is None and not column.primary_key:
                column.server_default = database_default(column, dialect)
    return copy


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
