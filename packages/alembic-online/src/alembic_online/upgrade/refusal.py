"""The error for rows that do not allow a change."""

from alembic.util import CommandError
from sqlalchemy.exc import IntegrityError


class RowsRefuseError(CommandError):
    """Existing rows do not allow a change; what it began has been undone."""


def refusal(error: IntegrityError, detail: str | None = None) -> RowsRefuseError:
    """Turn the database's answer into one that says what to do; `detail` is better than its own."""
    diagnosis = getattr(error.orig, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or str(error.orig)
    detail = detail or getattr(diagnosis, "message_detail", None)
    return RowsRefuseError(
        f"Existing rows do not allow this change: {said}.{f' {detail}' if detail else ''}\n"
        "The change has been undone. Correct the rows, or the revision, and run the command again."
    )
