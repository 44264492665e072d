"""Enum types and members that are gone, and new ones that they may have become."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from sqlalchemy.sql.compiler import IdentifierPreparer

from alembic_online.postgresql import literal
from alembic_online.revise.rendering import for_text
from alembic_online.revise.walking import label, short_schema


@dataclass
class RenameType(ops.MigrateOperation):
    type_schema: str | None  # None if it is the usual one
    old: str
    new: str

    def reverse(self) -> "RenameType":
        return RenameType(self.type_schema, old=self.new, new=self.old)

    def sql(self, preparer: IdentifierPreparer) -> str:
        old = _qualified(preparer, self.type_schema, self.old)
        return f"ALTER TYPE {old} RENAME TO {preparer.quote(self.new)}"

    @property
    def names(self) -> tuple[str, str]:
        return label(self.type_schema, self.old), self.new


@dataclass
class RenameMember(ops.MigrateOperation):
    type_schema: str | None
    type_name: str
    old: str
    new: str

    def reverse(self) -> "RenameMember":
        return RenameMember(self.type_schema, self.type_name, old=self.new, new=self.old)

    def sql(self, preparer: IdentifierPreparer) -> str:
        name = _qualified(preparer, self.type_schema, self.type_name)
        return f"ALTER TYPE {name} RENAME VALUE {literal(self.old)} TO {literal(self.new)}"

    @property
    def names(self) -> tuple[str, str]:
        return label(self.type_schema, self.type_name, self.old), self.new


def gone_and_new_types(
    context: MigrationContext, upgrade: ops.UpgradeOps
) -> Iterator[tuple[RenameType, bool]]:
    """Yield each pair, and whether half of their members are the same."""
    for gone in upgrade.ops:
        for new in upgrade.ops:
            if (
                isinstance(gone, DropEnumOp)
                and isinstance(new, CreateEnumOp)
                and gone.schema == new.schema
            ):
                before, after = set(gone.enum_values), set(new.enum_values)
                looks_alike = 2 * len(before & after) >= max(len(before), len(after))
                schema = short_schema(context, gone.schema)
                yield RenameType(schema, gone.name, new.name), looks_alike


def gone_and_new_members(
    context: MigrationContext, upgrade: ops.UpgradeOps
) -> Iterator[tuple[RenameMember, bool]]:
    """Yield each pair, and whether the value, or that there is no other, speaks for a rename."""
    for op in upgrade.ops:
        if isinstance(op, SyncEnumValuesOp):
            gone = [member for member in op.old_values if member not in op.new_values]
            added = [member for member in op.new_values if member not in op.old_values]
            values = _values(context, op)
            for old in gone:
                for new in added:
                    is_only = len(gone) == len(added) == 1
                    has_value = values.get(new, "").casefold() == old.casefold()
                    rename = RenameMember(short_schema(context, op.schema), op.name, old, new)
                    yield rename, is_only or has_value


def _values(context: MigrationContext, op: SyncEnumValuesOp) -> dict[str, str]:
    """Return the value of each member by its name, from the class in the models."""
    metadata: sa.MetaData = context.opts["target_metadata"]
    for table in metadata.tables.values():
        for column in table.columns:
            kind: Any = column.type
            kind = kind.item_type if isinstance(kind, sa.ARRAY) else kind
            if isinstance(kind, sa.Enum) and kind.name == op.name and kind.enum_class:
                return {name: str(member.value) for name, member in _members(kind.enum_class)}
    return {}


def _members(enum_class: Any) -> Any:
    return getattr(enum_class, "__members__", {}).items()


def _qualified(preparer: IdentifierPreparer, schema: str | None, name: str) -> str:
    return ".".join(preparer.quote(part) for part in (schema, name) if part)


@renderers.dispatch_for(RenameType)
@renderers.dispatch_for(RenameMember)
def _render(context: AutogenContext, op: RenameType | RenameMember) -> str:
    sql = for_text(op.sql(context.dialect.identifier_preparer), context.dialect)
    return f"op.execute({sql!r})"
