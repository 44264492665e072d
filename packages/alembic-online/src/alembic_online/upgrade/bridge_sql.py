"""The SQL of bridges: a trigger between two columns, and a view under a table's old name."""

from typing import NamedTuple
from zlib import crc32

import sqlalchemy as sa

from alembic_online.postgresql import NAME_BYTES, literal, quote, shortened


class ColumnBridge(NamedTuple):
    """Which columns, and how one is made out of the other."""

    old: str
    new: str
    using: str | None = None
    back: str | None = None
    default: str | None = None
    required: bool = False


# `alike` is the row as it would be if the old version had written it. Values are compared as they
# are stored: not all types have an equality, and for some of those that have, it is not identity.
# A client wrote the new column if it is in the list of its UPDATE (the trigger with an argument),
# or differs from what was there; the old one, if that differs. Nobody else wants anything, but a
# row that is not filled yet.
_FUNCTION = """\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $bridge$
#variable_conflict use_column
DECLARE
    alike record := NEW;
    untouched record := NEW;
    is_new boolean := TG_NARGS > 0;
BEGIN
    BEGIN
        alike.{new} := {using};
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        alike.{new} := NULL;
    END;
    IF record_image_eq(ROW(NEW.{new}), ROW(alike.{new})) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        untouched.{new} := {default};
        is_new := {is_new} NOT record_image_eq(ROW(NEW.{new}), ROW(untouched.{new}));
    ELSIF NOT record_image_eq(ROW(NEW.{new}), ROW(OLD.{new})) THEN
        is_new := true;
    END IF;
    IF is_new THEN
        BEGIN
            NEW.{old} := {back};
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.{old} := NULL;
        END;
    ELSIF TG_OP = 'INSERT' OR NEW.{new} IS NULL
        OR NOT record_image_eq(ROW(NEW.{old}), ROW(OLD.{old})) THEN
        NEW.{new} := alike.{new};
    END IF;
    RETURN NEW;
END
$bridge$"""
# Triggers of one kind fire in the order of their names: these see what the others have made of a
# row, and the one that knows the list of an UPDATE comes first.
_WRITTEN, _BRIDGE = "zz_bridge_1_", "zz_bridge_2_"


def bridge_columns(
    dialect: sa.Dialect, schema: str | None, table: str, bridge: ColumnBridge
) -> list[str]:
    old, new, quoted = (quote(dialect, name) for name in (bridge.old, bridge.new, table))
    function = _function(dialect, schema, table, bridge.new)
    body = _FUNCTION.format(
        function=function,
        old=old,
        new=new,
        using=_value(bridge.using, old, quoted),
        back=_value(bridge.back, new, quoted),
        default=bridge.default or "NULL",
        is_new=f"NEW.{old} IS NULL OR" if bridge.required else "",
    )
    on = f"ON {quote(dialect, schema, table)} FOR EACH ROW EXECUTE FUNCTION {function}"
    written, both = _triggers(dialect, bridge.new)
    return [
        body,
        f"CREATE OR REPLACE TRIGGER {written} BEFORE UPDATE OF {new} {on}('written')",
        f"CREATE OR REPLACE TRIGGER {both} BEFORE INSERT OR UPDATE {on}()",
    ]


def _value(expression: str | None, column: str, table: str) -> str:
    """Have an expression see the column by its name, and nothing else."""
    if expression is None:
        return f"NEW.{column}"
    return f"(SELECT {expression} FROM (SELECT NEW.{column} AS {column}) AS {table})"  # noqa: S608  # the revision's own


def drop_column_bridge(dialect: sa.Dialect, schema: str | None, table: str, new: str) -> list[str]:
    quoted = quote(dialect, schema, table)
    return [
        *(f"DROP TRIGGER IF EXISTS {name} ON {quoted}" for name in _triggers(dialect, new)),
        f"DROP FUNCTION IF EXISTS {_function(dialect, schema, table, new)}()",
    ]


def _triggers(dialect: sa.Dialect, new: str) -> list[str]:
    return [quote(dialect, _unique(prefix + new)) for prefix in (_WRITTEN, _BRIDGE)]


def _function(dialect: sa.Dialect, schema: str | None, table: str, new: str) -> str:
    return quote(dialect, schema, _unique(f"bridge_{table}_{new}"))


def _unique(name: str) -> str:
    """Shorten a name that PostgreSQL would cut, so that two of one beginning differ."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    return shortened(name, f"_{crc32(name.encode()):08x}")


_REQUIRE = """\
DO $bridge$
DECLARE
    found bigint := (
        SELECT count(*) FROM {table} WHERE {column} IS NULL AND ({source}) IS NOT NULL
    );
BEGIN
    IF found > 0 THEN
        RAISE check_violation USING MESSAGE = {said} || found;
    END IF;
END
$bridge$"""


def require_filled_sql(
    dialect: sa.Dialect, schema: str | None, table: str, column: str, source: str
) -> str:
    return _REQUIRE.format(
        table=quote(dialect, schema, table),
        column=quote(dialect, column),
        source=source,
        said=literal(f"rows without {column} that should have one: "),
    )


# A view runs with the rights of its owner before PostgreSQL 15. Its columns have the rights that
# those of the table have.
_VIEW = """\
DO $bridge$
DECLARE
    given record;
    options text := '';
BEGIN
    IF CAST(current_setting('server_version_num') AS integer) >= 150000 THEN
        options := 'WITH (security_invoker = true) ';
    END IF;
    EXECUTE {create} || options || {select};
    FOR given IN
        SELECT privilege_type || coalesce(' (' || quote_ident(attname) || ')', '') AS right,
            CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE CAST(CAST(grantee AS regrole) AS text) END
            || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS to_whom
        FROM (
            SELECT relowner, relacl AS acl, CAST(NULL AS name) AS attname
            FROM pg_class WHERE oid = CAST({table} AS regclass)
            UNION ALL SELECT relowner, attacl, attname
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE attrelid = CAST({table} AS regclass) AND NOT attisdropped
        ) AS owned, aclexplode(acl)
        WHERE grantee <> relowner
        AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', given.right, {view}, given.to_whom);
    END LOOP;
END
$bridge$"""


def bridge_table(dialect: sa.Dialect, schema: str | None, old: str, table: str) -> str:
    view, quoted = quote(dialect, schema, old), quote(dialect, schema, table)
    return _VIEW.format(
        create=literal(f"CREATE OR REPLACE VIEW {view} "),
        select=literal(f"AS SELECT * FROM {quoted}"),  # noqa: S608  # names, quoted
        view=literal(view),
        table=literal(quoted),
    )


def drop_table_bridge(dialect: sa.Dialect, schema: str | None, old: str) -> str:
    return f"DROP VIEW IF EXISTS {quote(dialect, schema, old)}"
