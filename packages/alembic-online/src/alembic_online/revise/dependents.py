"""Views, rules, policies, triggers and functions that PostgreSQL would not let a change pass by.

No model has them, so autogenerate does not see them; the catalogue knows what they depend on.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from alembic_online import postgresql
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import connection_of
from alembic_online.revise.operations import RenameColumn
from alembic_online.revise.rendering import escape_colons
from alembic_online.revise.walking import Table, each, label, short_schema, table_of

# What is meant, as pg_depend has it.
_COLUMN = """
    SELECT CAST('pg_class' AS regclass) AS class, attrelid AS id, attnum AS part
    FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = CAST(:name AS name)
"""
_TABLE = """
    SELECT CAST('pg_class' AS regclass) AS class, oid AS id, CAST(NULL AS integer) AS part
    FROM pg_class WHERE oid = to_regclass(:table)
    UNION ALL SELECT CAST('pg_type' AS regclass), pg_type.oid, NULL
    FROM pg_class JOIN pg_type ON reltype IN (pg_type.oid, typelem)
    WHERE reltype <> 0 AND pg_class.oid = to_regclass(:table)
"""
_CONSTRAINT = """
    SELECT CAST('pg_constraint' AS regclass) AS class, oid AS id, CAST(NULL AS integer) AS part
    FROM pg_constraint
    WHERE conrelid = to_regclass(:table) AND conname = CAST(:name AS name)
    UNION ALL SELECT CAST('pg_class' AS regclass), indexrelid, NULL
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(:table) AND relname = CAST(:name AS name)
"""
_DEPENDENTS = """
    SELECT DISTINCT found.type, identity, nspname AS schema, relname AS table,
        coalesce(conname, attname) AS part
    FROM target JOIN pg_depend AS d
        ON (refclassid, refobjid) = (class, id) AND (part IS NULL OR refobjsubid = part)
    LEFT JOIN pg_rewrite AS r ON (classid, objid) = (CAST('pg_rewrite' AS regclass), r.oid)
    LEFT JOIN pg_constraint AS k ON (classid, objid) = (CAST('pg_constraint' AS regclass), k.oid)
    LEFT JOIN pg_policy AS p ON (classid, objid) = (CAST('pg_policy' AS regclass), p.oid)
    LEFT JOIN pg_trigger AS t ON (classid, objid) = (CAST('pg_trigger' AS regclass), t.oid)
    LEFT JOIN pg_attrdef AS e ON (classid, objid) = (CAST('pg_attrdef' AS regclass), e.oid)
    LEFT JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum)
    LEFT JOIN pg_class AS owner
        ON owner.oid = coalesce(ev_class, nullif(conrelid, 0), polrelid, tgrelid, adrelid)
    LEFT JOIN pg_namespace AS n ON n.oid = relnamespace,
    LATERAL pg_identify_object(
        CASE WHEN rulename = '_RETURN' THEN CAST('pg_class' AS regclass) ELSE classid END,
        CASE WHEN rulename = '_RETURN' THEN ev_class ELSE objid END,
        objsubid) AS found
    WHERE deptype = 'n'
       OR (deptype = 'a' AND attgenerated <> '' AND (attrelid, attnum) <> (id, part))
    ORDER BY 1, 2
"""
_FUNCTIONS = sa.text(
    """
    SELECT DISTINCT tgname AS trigger, CAST(pg_proc.oid AS regprocedure)::text AS function, prosrc
    FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal ORDER BY 1
""".replace("::", r"\:\:")
)
_DROPPED_ALIKE = {"view", "materialized view", "rule", "policy", "trigger", "function"}
_WHAT_TO_DO = """\
    1. in a revision of its own, take them away:
{statements}
    2. write this revision
    3. in a third one, make them anew; all three can be deployed at once"""


class Change(NamedTuple):
    """Something that is dropped, or gets another type."""

    target: str
    table: Table
    name: str
    is_drop: bool


class Dependent(NamedTuple):
    kind: str
    identity: str
    table: Table
    part: str | None  # a constraint's or column's name


def review_dependents(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Refuse what PostgreSQL would refuse while others depend on it, and say who they are."""
    if context.dialect.name != "postgresql":
        return
    changes = list(dict.fromkeys(change for op in each(upgrade) for change in _changes(op)))
    gone = [change for change in changes if change.is_drop]
    for change in changes:
        found = [one for one in _dependents(context, change) if _stays(one, change, gone)]
        if found:
            answers.refuse(_refusal(change, found))
    for op in each(upgrade):
        if isinstance(op, ops.DropColumnOp | ops.AlterColumnOp):
            _ask_about_functions(context, op, answers)


def _changes(op: Any) -> Iterator[Change]:
    if isinstance(op, ops.DropTableOp):
        yield Change(_TABLE, table_of(op), "", is_drop=True)
    elif isinstance(op, ops.DropColumnOp):
        yield Change(_COLUMN, table_of(op), op.column_name, is_drop=True)
    elif isinstance(op, ops.DropConstraintOp):
        yield Change(_CONSTRAINT, table_of(op), str(op.constraint_name), is_drop=True)
    elif isinstance(op, ops.DropIndexOp):
        yield Change(_CONSTRAINT, table_of(op), str(op.index_name), is_drop=True)
    elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
        yield Change(_COLUMN, table_of(op), op.column_name, is_drop=False)
    elif isinstance(op, SyncEnumValuesOp):
        for each_one in op.affected_columns:
            table = (each_one.table_schema, each_one.table_name)
            yield Change(_COLUMN, table, each_one.column_name, is_drop=False)


def _dependents(context: MigrationContext, change: Change) -> Iterator[Dependent]:
    values = {"table": postgresql.quote(context.dialect, *change.table), "name": change.name}
    query = sa.text(f"WITH target AS ({change.target}) {_DEPENDENTS}")
    for row in connection_of(context).execute(query, values):
        table = (short_schema(context, row.schema), row.table)
        yield Dependent(row.type, row.identity, table, row.part)


def _stays(dependent: Dependent, change: Change, gone: list[Change]) -> bool:
    """Tell whether the dependent is in the way: PostgreSQL rebuilds some, and some go too."""
    if not change.is_drop and dependent.kind in {"table constraint", "default value"}:
        return False
    return not any(
        other.table == dependent.table and (other.target == _TABLE or other.name == dependent.part)
        for other in gone
    )


def _refusal(change: Change, found: list[Dependent]) -> str:
    schema, table = change.table
    subject = label(schema, str(table), change.name)
    verb = "dropped" if change.is_drop else "changed"
    names = ", ".join(f"{one.kind} {one.identity}" for one in found)
    statements = "\n".join(f"        {_removal(one)}" for one in found)
    todo = _WHAT_TO_DO.format(statements=statements)
    return f"{subject} cannot be {verb} while others depend on it: {names}.\n{todo}"


def _removal(dependent: Dependent) -> str:
    kind, identity = dependent.kind, dependent.identity
    if kind == "table constraint":
        name, _, table = identity.rpartition(" on ")
        sql = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    elif kind == "default value":
        table, _, column = identity.removeprefix("for ").rpartition(".")
        sql = f"ALTER TABLE {table} DROP COLUMN {column}"
    elif kind in _DROPPED_ALIKE:
        sql = f"DROP {kind.upper()} {identity}"
    else:
        return f"the {kind} {identity}"
    return f"op.execute({escape_colons(sql)!r})"


def _ask_about_functions(
    context: MigrationContext, op: ops.DropColumnOp | ops.AlterColumnOp, answers: Answers
) -> None:
    """Ask about triggers whose function has the column's name, whatever it means by it."""
    is_type = isinstance(op, ops.AlterColumnOp) and op.modify_type is not None
    if not (isinstance(op, ops.DropColumnOp | RenameColumn) or is_type):
        return
    schema, table = table_of(op)
    quoted = postgresql.quote(context.dialect, schema, table)
    for row in connection_of(context).execute(_FUNCTIONS, {"table": quoted}):
        if re.search(rf"\b{re.escape(op.column_name)}\b", row.prosrc, re.IGNORECASE):
            answers.allow(
                "break",
                label(schema, str(table), row.trigger),
                f"its function {row.function} names {op.column_name}, and may fail afterwards",
                "If it means this column, change the function or drop the trigger first, in a"
                " revision of its own.",
            )
