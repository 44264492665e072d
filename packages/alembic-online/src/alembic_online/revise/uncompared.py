"""What was seen to differ, or may differ, and could not be compared: said instead of a match."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from alembic_online.revise.rendering import sql_text
from alembic_online.revise.walking import label

OPTION = "online_uncompared"  # where the migration context keeps them, as a dict of sentences


def note(context: MigrationContext, sentence: str) -> None:
    context.opts[OPTION][sentence] = True


def say(context: MigrationContext, config: Config) -> bool:
    """Print what was noted, and tell whether there was anything."""
    sentences = context.opts[OPTION]
    for sentence in sentences:
        config.print_stdout("NOT COMPARED: %s", sentence)
    return bool(sentences)


def note_generated(
    context: MigrationContext,
    op: ops.AlterColumnOp,
    found: sa.Column[Any],
    wanted: sa.Column[Any],
) -> None:
    """Note a generated column that may not be the model's, by the words alone."""
    old, new = (_words(column, context.dialect) for column in (found, wanted))
    if old != new:
        subject = label(op.schema, op.table_name, op.column_name)
        note(context, f"{subject}: it is generated as {old}, and in the model as {new}")


def _words(column: sa.Column[Any], dialect: sa.Dialect) -> str | None:
    """Take away what the database adds to an expression."""
    if column.computed is None:
        return None
    return re.sub(r'[\s()"`]', "", sql_text(column.computed.sqltext, dialect)).lower()
