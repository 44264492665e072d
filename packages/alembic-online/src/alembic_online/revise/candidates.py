"""What may be a rename: something that is gone, and something new like it."""

from collections.abc import Iterator
from typing import NamedTuple

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.enum_renames import (
    RenameMember,
    RenameType,
    gone_and_new_members,
    gone_and_new_types,
)
from alembic_online.revise.operations import RenameColumn, RenameTable
from alembic_online.revise.walking import label

Rename = RenameColumn | RenameTable | RenameType | RenameMember


class Candidate(NamedTuple):
    """Something that is gone, and something new that it may have become."""

    old: str
    new: str
    name: str  # the last part of `new`
    rename: Rename
    looks_alike: bool
    in_python: str  # how the model can keep the old name in the database


def tables(upgrade: ops.UpgradeOps) -> Iterator[Candidate]:
    for gone in upgrade.ops:
        for new in upgrade.ops:
            if (
                isinstance(gone, ops.DropTableOp)
                and isinstance(new, ops.CreateTableOp)
                and gone.schema == new.schema
            ):
                before = {column.name for column in gone.to_table().columns}
                after = {column.name for column in new.to_table().columns}
                rename = RenameTable(gone.table_name, new.table_name, schema=gone.schema)
                yield Candidate(
                    label(gone.schema, gone.table_name),
                    label(new.schema, new.table_name),
                    new.table_name,
                    rename,
                    2 * len(before & after) > max(len(before), len(after)),
                    f'__tablename__ = "{gone.table_name}"',
                )


def columns(context: MigrationContext, upgrade: ops.UpgradeOps) -> Iterator[Candidate]:
    for table in upgrade.ops:
        changes = table.ops if isinstance(table, ops.ModifyTableOps) else []
        for gone in changes:
            for new in changes:
                if isinstance(gone, ops.DropColumnOp) and isinstance(new, ops.AddColumnOp):
                    old, name = gone.column_name, new.column.name
                    rename = RenameColumn(
                        gone.table_name, old, modify_name=name, schema=gone.schema
                    )
                    yield Candidate(
                        label(gone.schema, gone.table_name, old),
                        label(gone.schema, gone.table_name, name),
                        name,
                        rename,
                        not context.impl.compare_type(gone.to_column(), new.column),
                        f'{new.column.key}: ... = Field(sa_column_kwargs={{"name": "{old}"}})',
                    )


def enums(context: MigrationContext, upgrade: ops.UpgradeOps) -> Iterator[Candidate]:
    for type_, looks_alike in gone_and_new_types(context, upgrade):
        old, name = type_.names
        new, in_python = label(type_.type_schema, name), f'sa.Enum(..., name="{type_.old}")'
        yield Candidate(old, new, name, type_, looks_alike, in_python)
    for member, looks_alike in gone_and_new_members(context, upgrade):
        old, name = member.names
        new = label(member.type_schema, member.type_name, name)
        in_python = f"{member.old} = ...; {name} = {member.old}  # two names of one member"
        yield Candidate(old, new, name, member, looks_alike, in_python)
