"""The error for rows, and for other objects, that do not allow a change."""

import re
from typing import Any

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from migration.online.postgresql import sqlstate

_DEPENDENT = "2BP01"  # dependent_objects_still_exist
_OF_ROWS = ("22", "23")  # data exceptions, integrity constraint violations

_NAME = r'((?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?)'
_TABLE = re.compile(
    rf"\b(?:(?:ALTER|DROP)\s+TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?|UPDATE|INTO|FROM|ON)\s+{_NAME}",
    re.IGNORECASE,
)
_COLUMN = re.compile(rf"\b(?:ALTER|ADD|DROP)\s+COLUMN\s+{_NAME}", re.IGNORECASE)


class RowsRefuseError(CommandError):
    """Existing rows do not allow a change; what it began has been undone."""


def refusal_in(error: BaseException | None) -> RowsRefuseError | None:
    """Find out whether the database has refused the change: the error or what has caused it."""
    while error is not None:
        if isinstance(error, DBAPIError):
            state = sqlstate(error)
            is_refusal = state == _DEPENDENT or state.startswith(_OF_ROWS)
            return refusal(error) if is_refusal else None
        error = error.__cause__
    return None


def refusal(error: DBAPIError, detail: str | None = None) -> RowsRefuseError:
    """Turn the database's answer into one that says what to do; `detail` is better than its own."""
    diagnosis = getattr(error.orig, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or str(error.orig)
    detail = detail or getattr(diagnosis, "message_detail", None)
    subject = _subject(error, diagnosis)
    of = f" of {subject}" if subject else ""
    if sqlstate(error) == _DEPENDENT:
        head, what = f"Other objects need what this change drops{of}", "Drop those before it"
    else:
        head, what = f"Existing rows{of} do not allow this change", "Correct the rows"
    return RowsRefuseError(
        f"{head}: {said}.{f' {detail}' if detail else ''}\n"
        f"The change has been undone. {what}, or the revision, and run the command again."
    )


def _subject(error: DBAPIError, diagnosis: Any) -> str:
    """Name table and column, by the database's diagnosis or else by the statement."""
    statement = error.statement or ""
    table = getattr(diagnosis, "table_name", None) or _found(_TABLE, statement)
    column = getattr(diagnosis, "column_name", None) or _found(_COLUMN, statement)
    schema = getattr(diagnosis, "schema_name", None)
    parts = (None if schema == "public" else schema, table, column)
    return ".".join(part for part in parts if part) if table else ""


def _found(pattern: re.Pattern[str], statement: str) -> str:
    found = pattern.search(statement)
    parts = re.findall(r'"(?:[^"]|"")+"|\w+', found[1]) if found else []
    names = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
    return ".".join(name for name in names if name != "public")
