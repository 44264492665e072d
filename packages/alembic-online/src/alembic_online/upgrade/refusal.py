"""The error for rows, and for other objects, that do not allow a change."""

import re

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import diagnosis, message_of, sqlstate

_DEPENDENT = "2BP01"  # dependent_objects_still_exist
_OF_ROWS = ("22", "23")  # data exceptions, integrity constraint violations

_COPY = "_alembic_tmp_"  # what Alembic's batch mode on SQLite calls its copy of a table
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


def is_of_rows(error: DBAPIError) -> bool:
    """Tell whether the values of a row are the trouble."""
    return sqlstate(error).startswith(_OF_ROWS)


def refusal(error: DBAPIError, detail: str | None = None) -> RowsRefuseError:
    """Turn the database's answer into one that says what to do; `detail` is better than its own."""
    said, own_detail = message_of(error)
    detail = detail or own_detail
    subject = _subject(error)
    of = f" of {subject}" if subject else ""
    if sqlstate(error) == _DEPENDENT:
        head, what = f"Other objects need what this change drops{of}", "Drop those before it"
    else:
        head, what = f"Existing rows{of} do not allow this change", "Correct the rows"
    return RowsRefuseError(
        f"{head}: {said}.{f' {detail}' if detail else ''}\n"
        f"The change has been undone. {what}, or the revision, and run the command again."
    )


def _subject(error: DBAPIError) -> str:
    """Name table and column, by the database's diagnosis or else by the statement."""
    statement = error.statement or ""
    table = diagnosis(error, "table_name") or _found(_TABLE, statement)
    column = diagnosis(error, "column_name") or _found(_COLUMN, statement)
    schema = diagnosis(error, "schema_name")
    parts = (None if schema == "public" else schema, table, column)
    return ".".join(part for part in parts if part) if table else ""


def _found(pattern: re.Pattern[str], statement: str) -> str:
    found = pattern.search(statement)
    parts = re.findall(r'"(?:[^"]|"")+"|\w+', found[1]) if found else []
    names = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
    return ".".join(name.removeprefix(_COPY) for name in names if name != "public")
