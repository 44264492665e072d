"""Models that are mapped on a view: no tables, so autogenerate makes, alters and drops none.

Loaded by Alembic as an autogenerate plugin.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy.dialects.postgresql.base import PGInspector

from alembic_online.revise.counting import connection_of
from alembic_online.revise.walking import table_of


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(_leave_views, "schema", "views")


def _leave_views(
    context: AutogenContext,
    upgrade: ops.UpgradeOps,
    schemas: Iterable[str | None],  # noqa: ARG001  # the signature of Alembic's comparators
) -> PriorityDispatchResult:
    """Take out the tables that the database has as views, before their enum types are looked at."""
    inspector = sa.inspect(connection_of(context.migration_context))
    made = {table_of(op) for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    views = {table for table in made if table[1] in _views(inspector, table[0])}
    upgrade.ops[:] = [op for op in upgrade.ops if table_of(op) not in views]
    return PriorityDispatchResult.CONTINUE


def _views(inspector: sa.Inspector, schema: str | None) -> list[str]:
    views = inspector.get_view_names(schema)
    if isinstance(inspector, PGInspector):
        views += inspector.get_materialized_view_names(schema)
        views += inspector.get_foreign_table_names(schema)
    return views
