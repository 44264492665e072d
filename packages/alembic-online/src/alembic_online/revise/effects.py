"""The lock an operation takes and the work it does, as `alembic upgrade` carries it out."""

import re
from typing import Any, NamedTuple

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from alembic_online.revise.enum_renames import RenameMember, RenameType
from alembic_online.revise.numbering import ChangeNumbering
from alembic_online.revise.obstacles import obstacle
from alembic_online.revise.operations import (
    AlterSequence,
    RenameColumn,
    RenameConstraint,
    RenameTable,
)
from alembic_online.revise.trial import trouble
from alembic_online.revise.walking import label, table_of
from alembic_online.upgrade.backfill import BackfillOp
from alembic_online.upgrade.bridges import (
    BridgeColumnsOp,
    BridgeTableOp,
    DropColumnBridgeOp,
    DropTableBridgeOp,
    RequireFilledOp,
)

# Lock modes as the PostgreSQL manual names them ("Explicit Locking").
_NOBODY = "ACCESS EXCLUSIVE"  # reads or writes meanwhile
_READERS = "SHARE ROW EXCLUSIVE"
_EVERYBODY = "SHARE UPDATE EXCLUSIVE"
_NO_LOCK = "no lock"

_INSTANT = "an instant, no rewrite"
_READS = "no rewrite, reads every row while others read and write"


class Effect(NamedTuple):
    what: str
    lock: str
    work: str


def effect_of(
    context: MigrationContext, op: Any, *, is_new: bool, is_counted: bool = True
) -> Effect:
    """Describe one operation of an upgrade; nobody waits for a table that `is_new`."""
    what = words_of(op) + (obstacle(context, op) if is_counted else "")
    if context.dialect.name != "postgresql":
        return Effect(what, "", "")  # SQLite locks the whole database, whatever it does
    if is_new:
        return Effect(what, *_COST_OF_NEW.get(type(op), (_NO_LOCK, "the table is new")))
    if isinstance(op, ops.AlterColumnOp) and _changes(op) == ["comment"]:
        return Effect(what, _EVERYBODY, "an instant")
    if isinstance(op, ops.AddColumnOp | ops.AlterColumnOp):
        return Effect(what, _NOBODY, _column_work(context, op))
    if isinstance(op, RenameConstraint) and not op.is_index:
        return Effect(what, _NOBODY, "an instant")
    return Effect(what, *_COSTS.get(type(op), (_NOBODY, _INSTANT)))


def _column_work(context: MigrationContext, op: ops.AddColumnOp | ops.AlterColumnOp) -> str:
    if not isinstance(op, RenameColumn) and trouble(context, op):
        return "REWRITES the table"
    if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
        return f"{_INSTANT}, after a CHECK: {_READS}"
    return _INSTANT


# A foreign key keeps its target's rows from changing for as long as it is being made.
_COST_OF_NEW = {ops.CreateForeignKeyOp: (_READERS, "an instant, the table is new")}

_COSTS: dict[type, tuple[str, str]] = {
    RenameConstraint: (_EVERYBODY, "an instant"),
    RenameType: (_NO_LOCK, "an instant"),
    RenameMember: (_NO_LOCK, "an instant"),
    AlterSequence: (_READERS, "an instant"),
    ops.ExecuteSQLOp: (_NO_LOCK, "an instant"),
    BackfillOp: (_NO_LOCK, "writes rows in batches, each locked for an instant"),
    ops.CreateTableCommentOp: (_EVERYBODY, "an instant"),
    ops.DropTableCommentOp: (_EVERYBODY, "an instant"),
    ops.CreateIndexOp: (_EVERYBODY, _READS),
    ops.DropIndexOp: (_EVERYBODY, "an instant"),
    ops.CreateUniqueConstraintOp: (_NOBODY, f"an instant, after an index: {_READS}"),
    ops.CreateForeignKeyOp: (_READERS, f"an instant, then {_READS}"),
    ops.CreateCheckConstraintOp: (_NOBODY, f"an instant, then {_READS}"),
    CreateEnumOp: (_NO_LOCK, "an instant"),
    DropEnumOp: (_NO_LOCK, "an instant"),
    AddEnumValuesOp: (_NO_LOCK, "an instant"),
    SyncEnumValuesOp: (_NOBODY, "REWRITES the table"),
    BridgeColumnsOp: (_READERS, "an instant"),
    BridgeTableOp: (_NO_LOCK, "an instant"),
    RequireFilledOp: (_NO_LOCK, _READS),
}

_WORDS: dict[type, str] = {
    RenameTable: "rename table {table} to {op.new_table_name}",
    RenameColumn: "rename column {table}.{op.column_name} to {op.modify_name}",
    RenameConstraint: "rename {op.old} to {op.new}",
    RenameType: "rename type {op.names[0]} to {op.new}",
    RenameMember: "rename member {op.names[0]} to {op.new}",
    ChangeNumbering: "alter column {table}.{op.column_name}: numbering",
    AlterSequence: "alter sequence {op.sequence}: type",
    ops.ExecuteSQLOp: "{op.sqltext}",
    BackfillOp: "back-fill {table}.{op.column_name}",
    ops.CreateTableCommentOp: "comment table {table}",
    ops.DropTableCommentOp: "drop comment of table {table}",
    ops.CreatePrimaryKeyOp: "add primary key {op.constraint_name}",
    ops.CreateTableOp: "create table {table}",
    ops.DropTableOp: "drop table {table}",
    ops.AddColumnOp: "add column {table}.{op.column.name}",
    ops.DropColumnOp: "drop column {table}.{op.column_name}",
    ops.AlterColumnOp: "alter column {table}.{op.column_name}: {changes}",
    ops.CreateIndexOp: "create index {op.index_name}",
    ops.DropIndexOp: "drop index {op.index_name}",
    ops.CreateUniqueConstraintOp: "add unique constraint {op.constraint_name}",
    ops.CreateForeignKeyOp: "add foreign key {op.constraint_name}",
    ops.CreateCheckConstraintOp: "add check {op.constraint_name}",
    ops.DropConstraintOp: "drop constraint {op.constraint_name}",
    BridgeColumnsOp: "keep {table}.{op.bridge.old} and {op.bridge.new} in step, by a trigger",
    DropColumnBridgeOp: "drop the trigger of {table}.{op.column_name}",
    BridgeTableOp: "leave a view {op.old} on {table}",
    DropTableBridgeOp: "drop view {table}",
    RequireFilledOp: "look whether {table}.{op.column_name} is filled",
    CreateEnumOp: "create type {op.name}",
    DropEnumOp: "drop type {op.name}",
    AddEnumValuesOp: "extend type {op.name}",
    SyncEnumValuesOp: "remake type {op.name}",
}


def words_of(op: Any) -> str:
    """Return such as "add column user.phone"."""
    schema, table = table_of(op)
    words = next((_WORDS[kind] for kind in type(op).__mro__ if kind in _WORDS), _spelt(op))
    changes = ", ".join(_changes(op)) if isinstance(op, ops.AlterColumnOp) else ""
    return words.format(op=op, table=label(schema, table or ""), changes=changes)


def _spelt(op: Any) -> str:
    """Return such as "create exclude constraint table": what other libraries have made."""
    words = re.findall("[A-Z][a-z]*", type(op).__name__.removesuffix("Op"))
    return " ".join([*map(str.lower, words), "{table}"]).strip()


def _changes(op: ops.AlterColumnOp) -> list[str]:
    changes = []
    if op.modify_type is not None:
        changes.append("type")
    if op.modify_nullable is not None:
        changes.append("optional" if op.modify_nullable else "required")
    if op.modify_server_default is not False:
        changes.append("default")
    if op.modify_comment is not False:
        changes.append("comment")
    return changes
