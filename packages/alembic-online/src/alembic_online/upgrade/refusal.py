"""The error for rows that do not allow a change."""

from alembic.util import CommandError
from sqlalchemy.exc import IntegrityError

from alembic_online.postgresql import message_of


class RowsRefuseError(CommandError):
    """Existing rows do not allow a change; what it began has been undone."""


def refusal(error: IntegrityError, detail: str | None = None) -> RowsRefuseError:
    """Turn the database's answer into one that says what to do; `detail` is better than its own."""
    said, own_detail = message_of(error)
    detail = detail or own_detail
    return RowsRefuseError(
        f"Existing rows do not allow this change: {said}.{f' {detail}' if detail else ''}\n"
        "The change has been undone. Correct the rows, or the revision, and run the command again."
    )
