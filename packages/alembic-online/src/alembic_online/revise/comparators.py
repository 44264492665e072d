"""How a plugin of Alembic's autogenerate compares a table that database and models both have."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult

# Gets the changes so far, the database's table and the model's.
Compare = Callable[[AutogenContext, ops.ModifyTableOps, sa.Table, sa.Table], None]


def compare_tables(
    plugin: Plugin,
    what: str,
    compare: Compare,
    *,
    priority: DispatchPriority = DispatchPriority.MEDIUM,
) -> None:
    """Have `compare` add what differs to the changes, on PostgreSQL."""

    def compare_both(  # noqa: PLR0913, PLR0917  # the signature of Alembic's comparators
        context: AutogenContext,
        changes: ops.ModifyTableOps,
        schema: str | None,  # noqa: ARG001
        name: str,  # noqa: ARG001
        found: sa.Table | None,
        wanted: sa.Table | None,
    ) -> PriorityDispatchResult:
        if found is not None and wanted is not None:
            compare(context, changes, found, wanted)
        return PriorityDispatchResult.CONTINUE

    plugin.add_autogenerate_comparator(
        compare_both, "table", what, qualifier="postgresql", priority=priority
    )
