"""EXCLUDE constraints, which SQLAlchemy does not read from the database: compared, made by hand.

Loaded by Alembic as an autogenerate plugin.
"""

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import DBAPIError

from alembic_online import postgresql
from alembic_online.revise.by_hand import ByHand
from alembic_online.revise.comparators import compare_tables
from alembic_online.revise.counting import connection_of
from alembic_online.revise.definitions import as_stored, definitions
from alembic_online.revise.rendering import escape_colons
from alembic_online.revise.uncompared import note
from alembic_online.revise.unmanaged import OPTION, Unmanaged
from alembic_online.revise.walking import label

_REASON = """\
{subject}: the database has {old}, and the model {new}. PostgreSQL makes an EXCLUDE constraint
while nobody writes to the table, so autogenerate leaves it to you. By hand:
    op.execute({sql!r})"""


def setup(plugin: Plugin) -> None:
    compare_tables(plugin, "excludes", _compare)


def _compare(
    context: AutogenContext, changes: ops.ModifyTableOps, found: sa.Table, wanted: sa.Table
) -> None:
    connection = connection_of(context.migration_context)
    stored = definitions(connection, found, ExcludeConstraint)
    old = {name: sql for name, sql in stored.items() if sql.startswith("EXCLUDE ")}
    new = _wanted(context, found, wanted, old)
    for each in sorted(new):
        if old.get(each) != new[each]:
            changes.ops.append(_by_hand(context, found, each, old.get(each), str(new[each])))
    parents = {"schema_name": found.schema, "table_name": found.name}
    beside: Unmanaged = context.migration_context.opts[OPTION]
    for each in sorted(old.keys() - new.keys()):  # somebody may want it: it stops nothing
        if beside.includes(each, "exclude_constraint", parents):
            subject = label(found.schema, found.name, each)
            note(context.migration_context, f"{subject}: no model has {old[each]}")


def _wanted(
    context: AutogenContext, found: sa.Table, wanted: sa.Table, old: dict[str, str]
) -> dict[str, str | None]:
    """Return the model's constraints as PostgreSQL would show them, or does if it cannot tell."""
    connection = connection_of(context.migration_context)
    shown: dict[str, str | None] = {}
    for item in wanted.constraints:
        if isinstance(item, ExcludeConstraint):
            try:
                shown[str(item.name)] = as_stored(connection, found, item)
            except DBAPIError as error:
                subject = label(found.schema, found.name, str(item.name))
                note(context.migration_context, f"{subject}: {postgresql.reason(error)}")
                shown[str(item.name)] = old.get(str(item.name))
    return shown


def _by_hand(
    context: AutogenContext, found: sa.Table, name: str, old: str | None, new: str
) -> ByHand:
    quoted = postgresql.quote(context.dialect, name)
    drop = f"DROP CONSTRAINT {quoted}, " if old else ""
    table = postgresql.quoted(context.dialect, found)
    sql = escape_colons(f"ALTER TABLE {table} {drop}ADD CONSTRAINT {quoted} {new}")
    subject = label(found.schema, found.name, name)
    return ByHand(_REASON.format(subject=subject, old=old or "none", new=new, sql=sql))
