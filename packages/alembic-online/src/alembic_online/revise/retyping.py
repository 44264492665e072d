"""Other types for existing columns: tried on an empty copy, counted on the rows."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import reason
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import amount, connection_of, count, rows_of
from alembic_online.revise.lossless import is_lossless
from alembic_online.revise.trial import trouble
from alembic_online.revise.using import ConvertColumn
from alembic_online.revise.walking import label


def expand_advice(context: MigrationContext, op: ops.AlterColumnOp, answers: Answers) -> str:
    """Say how the running version can go on while the values are converted."""
    subject, column = label(op.schema, op.table_name, op.column_name), op.column_name
    answers.given("expand", subject)  # which wants the name below before it can be had
    keys = sa.inspect(connection_of(context)).get_pk_constraint(op.table_name, op.schema)
    if column in keys["constrained_columns"]:
        return _OF_KEY
    word = _word(op.modify_type)
    return (
        "While it is converted row by row, the running version can go on with the old column, and"
        " the next one\nuse a new one. Name that in the model, and have two revisions written:\n"
        f'    {column}: ... = Field(sa_column_kwargs={{"name": "{column}_{word}"}})\n'
        f"    -x expand={subject}:{word}"
    )


_OF_KEY = """\
Without it, in steps that block nobody, but by hand, as it is of the primary key: a new column, a
trigger that keeps it, op.backfill, and in a later revision a key of the new column"""


def _word(type_: Any) -> str:
    """Return a word for a type, such as `int`."""
    try:
        return str(type_.python_type.__name__).lower()
    except NotImplementedError:
        return "new"


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
            f" {reason(error)}.\n{expand_advice(context, op, answers)}"
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
        answers.allow("rewrite", subject, effect, expand_advice(context, op, answers))


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
