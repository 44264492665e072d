"""Types made by `sa.Enum(...).create(op.get_bind())`: it goes past the directives and the journal.

In a revision that was interrupted, a type may therefore be there already, or be gone.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import CreateEnumType, DropEnumType

from alembic_online import postgresql
from alembic_online.upgrade.journal import Journal

_NOTHING = sa.text("SELECT")
_ADD_VALUE = re.compile(r"(ALTER TYPE .+? ADD VALUE) (?!IF NOT EXISTS)", re.IGNORECASE)


def make_rerunnable(connection: sa.Connection, journal: Journal) -> None:
    """Have the connection leave out what an interrupted run has done to types."""

    def before_execute(
        connection: sa.Connection, clause: sa.Executable, many: Any, one: Any, _options: Any
    ) -> tuple[sa.Executable, Any, Any]:
        if journal.goes_on:
            clause = _without_what_is_done(connection, clause)
        return clause, many, one

    sa.event.listen(connection, "before_execute", before_execute, retval=True)


def _without_what_is_done(connection: sa.Connection, clause: sa.Executable) -> sa.Executable:
    if isinstance(clause, CreateEnumType | DropEnumType):
        exists = postgresql.has_type(connection, clause.element.schema, clause.element.name)
        if exists == isinstance(clause, CreateEnumType):
            return _NOTHING
    if isinstance(clause, sa.TextClause):
        text = _ADD_VALUE.sub(r"\1 IF NOT EXISTS ", clause.text, count=1)
        return clause if text == clause.text else sa.text(text)
    return clause
