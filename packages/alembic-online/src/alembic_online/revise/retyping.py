"""Other types for existing columns: tried on an empty copy, counted on the rows."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import reason
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import amount, count, rows_of
from alembic_online.revise.lossless import is_lossless
from alembic_online.revise.trial import trouble
from alembic_online.revise.using import ConvertColumn
from alembic_online.revise.walking import label

EXPAND_CONTRACT = """\
Without it, in steps that block nobody:
    1. add a new column, nullable or with a default, and write both in the application
    2. copy the old values in batches; switch the application to the new column
    3. drop the old column in a later revision ("Two deploys" of the README has the recipe)"""


def review_altered_column(
    context: MigrationContext, op: ops.AlterColumnOp, answers: Answers
) -> None:
    if op.modify_type is None or context.dialect.name != "postgresql":
        return
    subject = label(op.schema, op.table_name, op.column_name)
    change = f"{op.existing_type!r} to {op.modify_type!r}"
    try:
        problem = trouble(context, op)
    except DBAPIError as error:
        answers.refuse(
            f"{subject}: {change} needs more than a new type, PostgreSQL says:"
            f" {reason(error)}.\n{EXPAND_CONTRACT}"
        )
        return
    if isinstance(op, ConvertColumn):  # its answer says all
        return
    if (length := shrunk_length(op)) is not None:
        value = sa.func.char_length(sa.column(op.column_name))
        table = sa.table(op.table_name, schema=op.schema)
        too_long = amount(count(context, table, value > length), "value")
        effect = (
            f"shrinks to {length} characters ({too_long} too long), and {problem or 'scans it'}"
        )
        answers.allow("shrink", subject, effect)
    elif problem:
        rows = rows_of(context, op.schema, op.table_name)
        effect = f"{change} {problem} ({rows}){_changed_values(context, op)}"
        answers.allow("rewrite", subject, effect, EXPAND_CONTRACT)


def _changed_values(context: MigrationContext, op: ops.AlterColumnOp) -> str:
    """Say how many values are not what they were after the change of type and back."""
    old: Any = op.existing_type
    new: Any = op.modify_type
    column = sa.column(op.column_name, old)
    changed = sa.cast(sa.cast(column, new), old).is_distinct_from(column)
    counted = count(context, sa.table(op.table_name, schema=op.schema), changed)
    if counted.is_of_rows:
        return f", and STOPS, since values do not fit: {counted.problem}"
    if counted.number is None or counted.number:
        return f", and changes {amount(counted, 'value')}"
    # None here, but this database need not have what another has.
    return "" if is_lossless(old, new) else ", and may round or cut values"


def shrunk_length(op: ops.AlterColumnOp) -> int | None:
    """Return the new length of a string type that gets shorter."""
    old, new = op.existing_type, op.modify_type
    length = _length(new)
    if length is None or not isinstance(old, sa.String) or isinstance(old, sa.Enum):
        return None
    before = _length(old)
    return length if before is None or before > length else None


def _length(type_: Any) -> int | None:
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.impl_instance
    return type_.length if isinstance(type_, sa.String) and not isinstance(type_, sa.Enum) else None
