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
    if sentences:
        config.print_stdout("Not compared:\n    %s", "\n    ".join(sentences))
    return bool(sentences)


def note_generated(
    context: MigrationContext, op: ops.AlterColumnOp, found: Any, wanted: Any
) -> None:
    """Note a generated column whose expression is not the model's, as far as that can be told."""
    old, new = (_plain(each, context.dialect) for each in (found, wanted))
    if old != new:
        subject = label(op.schema, op.table_name, op.column_name)
        note(
            context,
            f"{subject}: a generated column cannot be changed into another, or made of a plain one;"
            " drop it and add it anew",
        )


def _plain(default: Any, dialect: sa.Dialect) -> str | None:
    """Take away what PostgreSQL adds to an expression."""
    if not isinstance(default, sa.Computed):
        return None
    text = re.sub(r'::[\w ]+|[\s()"`]', "", sql_text(default.sqltext, dialect))
    return text.replace("\\", "").lower()
