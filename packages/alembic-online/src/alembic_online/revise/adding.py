"""New columns and new defaults: what value old rows and the running version's rows get."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import reason
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import connection_of, rows_of
from alembic_online.revise.defaults import (
    ModelDefault,
    UnusableDefaultError,
    is_same,
    scalar_default,
    stored_default,
)
from alembic_online.revise.rendering import escape_colons
from alembic_online.revise.trial import is_constant, trouble
from alembic_online.revise.walking import each, label, model_of

BACK_FILL = """\
Without it, in revisions that block nobody:
    1. add the column as optional, without its default
    2. give it the default, fill the old rows by op.backfill
    3. make it required"""
NUMBER_LATER = f"{BACK_FILL}; it can become an Identity then, which goes on after its values"
COMPUTE_ELSEWHERE = """\
Without it (a column cannot be made a generated one later), compute the value in queries, or with
    persisted=False (PostgreSQL 18), or keep a plain column: op.bridge_columns keeps it by a
    trigger, op.backfill fills it"""


def review_added_column(context: MigrationContext, op: ops.AddColumnOp, answers: Answers) -> None:
    subject, column = label(op.schema, op.table_name, op.column.name), op.column
    is_missing = column.server_default is None and not column.nullable
    filling = answers.given("fill", subject) if is_missing else None
    if filling is not None:
        column.server_default = sa.DefaultClause(filling)
    if column.server_default is None:
        if not column.nullable:
            answers.refuse(_needs_value(subject, op))
        return
    if is_constant(column.server_default):
        check_value(context, subject, column, answers, filled=filling is not None)
    else:
        _ask_to_rewrite(context, op, subject, answers)


def _needs_value(subject: str, op: ops.AddColumnOp) -> str:
    column = op.column
    name = column.key
    value = scalar_default(column)
    no_default = (
        "has no default" if value is None else f"its default {value!r} cannot be written in SQL"
    )
    return (
        f"{subject} is required and {no_default}, but the table may have rows. Either\n"
        f"    give it a default in the model:   {name}: ... = Field(default=...)\n"
        "    or let the database make one:     sa_column_kwargs={'server_default': sa.func.now()}\n"
        f"    or make it optional:              {name}: ... | None = None\n"
        f"    or give existing rows a value:    -x fill={subject}:VALUE\n"
        f"    or each its own: optional now, then op.backfill({op.table_name!r},"
        f" {{{column.name!r}: sa.text(...)}}), then required"
    )


def review_defaults(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Make sure that the defaults of new tables and altered columns are the models' values."""
    for op in each(upgrade):
        if isinstance(op, ops.CreateTableOp):
            columns = [column for column in op.columns if isinstance(column, sa.Column)]
        elif isinstance(op, ops.AlterColumnOp) and op.modify_server_default is not False:
            columns = [model_of(context, op).columns[op.column_name]]
        else:
            continue
        for column in columns:
            subject = label(op.schema, op.table_name, column.name)
            check_value(context, subject, column, answers)


def check_value(
    context: MigrationContext,
    subject: str,
    column: sa.Column[Any],
    answers: Answers,
    *,
    filled: bool = False,
) -> None:
    if not filled and not isinstance(column.server_default, ModelDefault):
        return
    text = getattr(column.server_default, "arg", None)
    if context.dialect.name == "sqlite" and isinstance(text, str) and escape_colons(text) != text:
        answers.refuse(
            f"{subject}: batch mode on SQLite would damage {text!r} (a colon and a word)"
        )
    if isinstance(column.type, sa.Enum) and text not in column.type.enums:
        answers.refuse(f"{subject}: {text!r} is none of {', '.join(column.type.enums)}")
    type_ = column.type.item_type if isinstance(column.type, sa.ARRAY) else column.type
    if isinstance(type_, sa.Enum):
        return  # a member by its name, whose type may not have it yet
    try:
        stored = stored_default(connection_of(context), column)
    except DBAPIError as error:
        answers.refuse(f"{subject}: the database cannot store its default: {reason(error)}")
        return
    except UnusableDefaultError as error:
        answers.refuse(f"{subject}: {error}")
        return
    value = scalar_default(column)
    if not filled and not is_same(stored, value):
        answers.refuse(
            f"{subject}: its default {value!r} would be {stored!r} in the database. Write it for"
            f" the database too:\n    sa_column_kwargs={{'server_default': ...}}"
        )


def _ask_to_rewrite(
    context: MigrationContext, op: ops.AddColumnOp, subject: str, answers: Answers
) -> None:
    try:
        problem = trouble(context, op)
    except DBAPIError as error:
        answers.refuse(f"{subject}: PostgreSQL refuses this column: {reason(error)}")
        return
    if problem:
        rows = rows_of(context, op.schema, op.table_name)
        effect = f"a value of its own for each row {problem} ({rows})"
        advice = _ADVICE.get(type(op.column.server_default), BACK_FILL)
        answers.allow("rewrite", subject, effect, advice)


_ADVICE: dict[type, str] = {sa.Computed: COMPUTE_ELSEWHERE, sa.Identity: NUMBER_LATER}
