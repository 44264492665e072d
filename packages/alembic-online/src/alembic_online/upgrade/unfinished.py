"""What an interrupted change of the schema leaves behind, and `alembic check` does not see."""

import sqlalchemy as sa

from alembic_online.upgrade.interruption import COMMENT_START, Interrupted

_INVALID_INDEXES = """
    SELECT format('index %s of table %s is invalid', indexrelid::regclass, indrelid::regclass)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    ORDER BY 1
"""
# NOT ENFORCED, which PostgreSQL 18 brought, is no accident.
_UNVALIDATED_CONSTRAINTS = """
    SELECT format('constraint %I of table %s is not validated', conname, conrelid::regclass)
    FROM pg_constraint AS c
    WHERE NOT convalidated AND conrelid <> 0
      AND to_jsonb(c)->>'conenforced' IS DISTINCT FROM 'false'
      AND connamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    ORDER BY 1
"""
_INTERRUPTED_REVISIONS = """
    SELECT description FROM pg_description
    WHERE classoid = 'pg_class'::regclass AND objsubid = 0
      AND starts_with(description, :start)
"""


def find_unfinished(connection: sa.Connection) -> list[str]:
    """Name each invalid index, constraint that is not validated, and half-applied revision.

    Empty on databases other than PostgreSQL. While an upgrade runs, what it is making counts too.
    """
    if connection.dialect.name != "postgresql":
        return []
    interrupted = connection.scalars(sa.text(_INTERRUPTED_REVISIONS), {"start": COMMENT_START})
    return [
        *connection.scalars(sa.text(_INVALID_INDEXES.replace(":", "\\:"))),
        *connection.scalars(sa.text(_UNVALIDATED_CONSTRAINTS.replace(":", "\\:"))),
        *(f"{Interrupted.parse(comment)} is half done" for comment in interrupted),
    ]
