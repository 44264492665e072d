"""What the database has beside the models, and is to be left alone: it is not compared.

Loaded by Alembic as an autogenerate plugin. Partitions belong to their table, and an extension's
tables to the extension; `-x keep=NAME` names more, `unmanaged = NAMES` in alembic.ini for ever.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp

from alembic_online.postgresql import users_of_type
from alembic_online.revise.counting import connection_of
from alembic_online.revise.items import columns_of, item_of
from alembic_online.revise.walking import label, replace_each, table_of

OPTION = "online_unmanaged"  # where the migration context keeps the Unmanaged

_OWNED = sa.text("""
    SELECT nspname, relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND (relispartition OR EXISTS (
        SELECT FROM pg_depend
        WHERE classid = CAST('pg_class' AS regclass) AND objid = c.oid AND deptype = 'e'
    ))
""")

_Table = tuple[str | None, str]


class Unmanaged:
    """Decides about names, as Alembic's `include_name` does; what is in a model is managed."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self._metadata = metadata
        self._modelled: dict[_Table, set[str]] = {}
        self._owned: set[_Table] = set()
        self._patterns: list[str] = []
        self.matched: set[str] = set()
        self._default_schema: str | None = None

    def look(self, context: MigrationContext, extras: Iterable[str]) -> None:
        """Find out, now that there is a connection, what is whose."""
        self._default_schema = context.dialect.default_schema_name
        tables = self._metadata.tables.values()
        self._modelled = {
            (self._short(table.schema), table.name): set(_names(table)) for table in tables
        }
        kept = [extra.removeprefix("keep=") for extra in extras if extra.startswith("keep=")]
        self._patterns = [*kept, *_listed(context)]
        if context.dialect.name == "postgresql":
            rows = connection_of(context).execute(_OWNED)
            self._owned = {(self._short(schema), name) for schema, name in rows}

    def includes(self, name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
        if name is None or kind == "schema":
            return True
        schema = self._short(parents.get("schema_name"))
        if kind == "table":
            is_owned = (schema, name) in self._owned
            return (schema, name) in self._modelled or not (is_owned or self._lists(schema, name))
        table = parents["table_name"]
        is_modelled = name in self._modelled.get((schema, table), ())
        return is_modelled or not self._lists(schema, table, name)

    def leaves_out_column(self, schema: str | None, table: str, column: str) -> bool:
        parents = {"schema_name": schema, "table_name": table}
        return not (
            self.includes(table, "table", parents) and self.includes(column, "column", parents)
        )

    def leaves_out_type(self, context: MigrationContext, schema: str, name: str) -> bool:
        """Tell whether a type is listed, or used by what is left alone."""
        return self._lists(self._short(schema), name) or any(
            self.leaves_out_column(*user)
            for user in users_of_type(connection_of(context), schema, name)
        )

    def lists_key(self, table: sa.Table) -> bool:
        """Tell whether the table's primary key is listed; by its name, since models have it too."""
        subject = label(self._short(table.schema), table.name, str(table.primary_key.name))
        self.matched |= {subject} & {*self._patterns}
        return subject in self._patterns

    def _short(self, schema: str | None) -> str | None:
        return None if schema == self._default_schema else schema

    def _lists(self, schema: str | None, *names: str) -> bool:
        parts = label(schema, *names).split(".")
        found = {pattern for pattern in self._patterns if _matches(pattern.split("."), parts)}
        self.matched |= found
        return bool(found)


def advice(subject: str) -> str:
    return (
        f"To leave it in the database: -x keep={subject} for now, or for ever in alembic.ini\n"
        f"    unmanaged = {subject}"
    )


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(_look, "autogenerate", priority=DispatchPriority.FIRST)
    plugin.add_autogenerate_comparator(
        _leave_what_belongs, "autogenerate", priority=DispatchPriority.LAST
    )


def _look(context: AutogenContext, _: ops.UpgradeOps) -> PriorityDispatchResult:
    migration_context = context.migration_context
    environment = migration_context.environment_context
    unmanaged: Unmanaged = migration_context.opts[OPTION]
    unmanaged.look(migration_context, environment.get_x_argument() if environment else [])
    return PriorityDispatchResult.CONTINUE


def _leave_what_belongs(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Leave the indexes and constraints of a column that is left alone, and its type."""
    unmanaged: Unmanaged = context.migration_context.opts[OPTION]
    upgrade.ops[:] = [
        op
        for op in upgrade.ops
        if not isinstance(op, DropEnumOp)
        or not unmanaged.leaves_out_type(context.migration_context, op.schema, op.name)
    ]
    replace_each(upgrade, lambda op: () if _goes_with_column(context, unmanaged, op) else (op,))
    upgrade.ops[:] = [
        op for op in upgrade.ops if not (isinstance(op, ops.ModifyTableOps) and not op.ops)
    ]
    return PriorityDispatchResult.CONTINUE


def _goes_with_column(context: AutogenContext, unmanaged: Unmanaged, op: Any) -> bool:
    if not isinstance(op, ops.DropIndexOp | ops.DropConstraintOp):
        return False
    schema, table = table_of(op)
    return any(
        unmanaged.leaves_out_column(schema, str(table), column)
        for column in columns_of(item_of(op), context.dialect)
    )


def _names(table: sa.Table) -> Iterator[str]:
    items: list[Any] = [*table.columns, *table.indexes, *table.constraints]
    return (str(item.name) for item in items if item.name)


def _listed(context: MigrationContext) -> list[str]:
    listed: Any = context.config.get_alembic_option("unmanaged") if context.config else None
    return re.split(r"[\s,]+", listed.strip()) if isinstance(listed, str) else list(listed or ())


def _matches(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(map(fnmatchcase, parts, pattern))
