"""Renames: proposed from what is gone and new, tried in a savepoint, compared again."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import IdentifierPreparer

from alembic_online.revise.answers import Answers
from alembic_online.revise.candidates import Candidate, Rename, columns, enums, tables
from alembic_online.revise.counting import connection_of
from alembic_online.revise.enum_renames import RenameMember, RenameType
from alembic_online.revise.followers import renamed_followers
from alembic_online.revise.operations import (
    BridgedTable,
    RenameColumn,
    RenameConstraint,
    RenameTable,
)
from alembic_online.revise.walking import label


def with_renames(
    context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers
) -> tuple[ops.UpgradeOps, list[Rename]]:
    """Return the operations with every confirmed rename in place of its drop and add."""
    renames: list[Rename] = []
    while accepted := _next_rename(context, upgrade, answers):
        renames.append(accepted)
        upgrade = _compared_after(context, renames)
    return upgrade, renames


def remark(rename: Rename) -> str:
    """Say in the file what a rename means for the version that runs during the upgrade."""
    if isinstance(rename, BridgedTable):
        return (
            f"The running version reads and writes the view {rename.table_name}, the next one the"
            f" table {rename.new_table_name}: it is the same data."
        )
    if isinstance(rename, RenameTable):
        old = label(rename.schema, rename.table_name)
        new = rename.new_table_name
    elif isinstance(rename, RenameType | RenameMember):
        old, new = rename.names
    else:
        old = label(rename.schema, rename.table_name, rename.column_name)
        new = str(rename.modify_name)
    return f"BREAKING: {old} becomes {new}: app versions that use the old name fail from then on."


def _next_rename(
    context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers
) -> Rename | None:
    found = [*tables(upgrade), *enums(context, upgrade)]
    found += _without_expanded(list(columns(context, upgrade)), answers)
    candidates = sorted(found, key=lambda candidate: candidate[:2])
    for candidate in candidates:
        rename = candidate.rename
        if isinstance(rename, RenameTable) and _is_expanded(candidate, answers):
            return BridgedTable(rename.table_name, rename.new_table_name, schema=rename.schema)
    for candidate in candidates:  # what the command line says comes first
        if answers.is_given("rename", f"{candidate.old}:{candidate.name}"):
            return candidate.rename
    for candidate in candidates:
        old, new, name = candidate.old, candidate.new, candidate.name
        if candidate.looks_alike and answers.confirm_rename(old, new, name, candidate.in_python):
            return candidate.rename
    return None


def _is_expanded(candidate: Candidate, answers: Answers) -> bool:
    rename = candidate.rename
    column = rename.column_name if isinstance(rename, RenameColumn) else candidate.old
    return answers.expands(candidate.old, column, candidate.name)


def _without_expanded(candidates: list[Candidate], answers: Answers) -> list[Candidate]:
    """Leave out the columns that stay beside each other for a while: they are no rename."""
    expanded = [candidate for candidate in candidates if _is_expanded(candidate, answers)]
    ends = {end for candidate in expanded for end in (candidate.old, candidate.new)}
    return [candidate for candidate in candidates if not {candidate.old, candidate.new} & ends]


def _compared_after(context: MigrationContext, renames: list[Rename]) -> ops.UpgradeOps:
    """See what else differs once the renames are done."""
    with done(context, renames) as followers:
        upgrade = produce_migrations(context, context.opts["target_metadata"]).upgrade_ops
    assert upgrade is not None  # noqa: S101  # this script was just produced
    operations = [
        ops.ModifyTableOps(rename.table_name, [rename], schema=rename.schema)
        if isinstance(rename, RenameColumn)
        else rename
        for rename in renames
    ]
    upgrade.ops[:0] = [*operations, *followers]
    return upgrade


@contextmanager
def done(context: MigrationContext, renames: list[Rename]) -> Iterator[list[RenameConstraint]]:
    """Have the renames done while the block runs; yield those of indexes and constraints."""
    connection = connection_of(context)
    with connection.begin_nested() as savepoint:
        for rename in renames:
            _rename(connection, rename)
        moved = [each for each in renames if isinstance(each, RenameColumn | RenameTable)]
        yield renamed_followers(connection, context.opts["target_metadata"], moved)
        savepoint.rollback()


def _rename(connection: sa.Connection, rename: Rename) -> None:
    try:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        connection.exec_driver_sql(_sql(connection.dialect.identifier_preparer, rename))
    except DBAPIError as error:
        raise CommandError(f"cannot try the rename in this database: {error.orig}") from error


def _sql(preparer: IdentifierPreparer, rename: Rename) -> str:
    if isinstance(rename, RenameType | RenameMember):
        return rename.sql(preparer)
    table = preparer.format_table(sa.table(rename.table_name, schema=rename.schema))
    if isinstance(rename, RenameTable):
        return f"ALTER TABLE {table} RENAME TO {preparer.quote(rename.new_table_name)}"
    old, new = preparer.quote(rename.column_name), preparer.quote(rename.modify_name or "")
    return f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}"
