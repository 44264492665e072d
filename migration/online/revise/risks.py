"""What a change would lose, break or block: refused until it is allowed."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from sqlalchemy.exc import DBAPIError

from migration.online.revise.answers import Answers
from migration.online.revise.counting import amount, count
from migration.online.revise.defaults import is_same, scalar_default, stored_default
from migration.online.revise.rendering import escape_colons
from migration.online.revise.trial import is_constant, is_refused, trouble
from migration.online.revise.walking import each, label

EXPAND_CONTRACT = """\
Without it, in steps that block nobody:
    1. add a new column, nullable or with a default, and write both in the application
    2. copy the old values in batches; switch the application to the new column
    3. drop the old column in a later revision (docs/migrations.md has the recipe)"""


BACK_FILL = """\
Without it, in revisions that block nobody:
    1. add the column as optional, without its default
    2. give it the default, fill the old rows in batches
    3. make it required"""


def review_risks(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Ask about every dangerous operation; what is not allowed ends up in `answers.missing`."""
    for op in each(upgrade):
        for kind, assess in _ASSESSMENTS.items():
            if isinstance(op, kind):
                assess(context, op, answers)


def _drop_table(context: MigrationContext, op: ops.DropTableOp, answers: Answers) -> None:
    rows = count(_connection(context), sa.table(op.table_name, schema=op.schema))
    lost = amount(rows, "row")
    effect = f"drops the table and its data ({lost}), and breaks app versions that still use it"
    answers.allow("drop", label(op.schema, op.table_name), effect)


def _drop_column(context: MigrationContext, op: ops.DropColumnOp, answers: Answers) -> None:
    values = count(
        _connection(context),
        sa.table(op.table_name, schema=op.schema),
        sa.column(op.column_name).is_not(None),
    )
    lost = amount(values, "value")
    effect = f"drops the column and its data ({lost}), and breaks app versions that still read it"
    answers.allow("drop", label(op.schema, op.table_name, op.column_name), effect)


def _add_column(context: MigrationContext, op: ops.AddColumnOp, answers: Answers) -> None:
    subject, column = label(op.schema, op.table_name, op.column.name), op.column
    filling = answers.filling(subject)
    if filling is not None:
        column.server_default = sa.DefaultClause(filling)
    if column.server_default is None:
        if not column.nullable:
            answers.refuse(_needs_value(subject, column))
        return
    if is_constant(column.server_default):
        _check_value(context, subject, column, answers, filled=filling is not None)
    else:
        _ask_to_rewrite(context, op, subject, answers)


def _needs_value(subject: str, column: sa.Column[Any]) -> str:
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
        f"    or give existing rows a value:    -x fill={subject}:VALUE"
    )


def check_defaults(context: MigrationContext, upgrade: ops.UpgradeOps, answers: Answers) -> None:
    """Make sure that the defaults of new tables and altered columns are the models' values."""
    tables = context.opts["target_metadata"].tables.values()
    models = {(table.schema, table.name): table for table in tables}
    for op in each(upgrade):
        if isinstance(op, ops.CreateTableOp):
            columns = [column for column in op.columns if isinstance(column, sa.Column)]
        elif isinstance(op, ops.AlterColumnOp) and op.modify_server_default is not False:
            columns = [models[op.schema, op.table_name].columns[_key(models, op)]]
        else:
            continue
        for column in columns:
            if column.server_default is not None and is_constant(column.server_default):
                subject = label(op.schema, op.table_name, column.name)
                _check_value(context, subject, column, answers)


def _key(models: dict[Any, sa.Table], op: ops.AlterColumnOp) -> str:
    table = models[op.schema, op.table_name]
    return next(column.key for column in table.columns if column.name == op.column_name)


def _check_value(
    context: MigrationContext,
    subject: str,
    column: sa.Column[Any],
    answers: Answers,
    *,
    filled: bool = False,
) -> None:
    text = getattr(column.server_default, "arg", None)
    if context.dialect.name == "sqlite" and isinstance(text, str) and escape_colons(text) != text:
        answers.refuse(
            f"{subject}: batch mode on SQLite would damage {text!r} (a colon and a word)"
        )
    value = None if filled else scalar_default(column)
    type_ = column.type.item_type if isinstance(column.type, sa.ARRAY) else column.type
    if isinstance(type_, sa.Enum) or (value is None and not filled):
        return  # its type may not be there yet
    try:
        stored = stored_default(_connection(context), column)
    except DBAPIError as error:
        answers.refuse(f"{subject}: the database cannot store its default: {is_refused(error)}")
        return
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
        answers.refuse(f"{subject}: PostgreSQL refuses this column: {is_refused(error)}")
        return
    if problem:
        answers.allow(
            "rewrite",
            subject,
            f"a value of its own for each row {problem} ({_table_size(context, op)})",
            BACK_FILL,
        )


def _alter_column(context: MigrationContext, op: ops.AlterColumnOp, answers: Answers) -> None:
    if op.modify_type is None or context.dialect.name != "postgresql":
        return
    subject = label(op.schema, op.table_name, op.column_name)
    change = f"{op.existing_type!r} to {op.modify_type!r}"
    try:
        problem = trouble(context, op)
    except DBAPIError as error:
        answers.refuse(
            f"{subject}: {change} needs more than a new type, PostgreSQL says:"
            f" {is_refused(error)}.\n{EXPAND_CONTRACT}"
        )
        return
    if (length := shrunk_length(op)) is not None:
        value = sa.func.char_length(sa.column(op.column_name))
        table = sa.table(op.table_name, schema=op.schema)
        too_long = amount(count(_connection(context), table, value > length), "value")
        effect = (
            f"shrinks to {length} characters ({too_long} too long), and {problem or 'scans it'}"
        )
        answers.allow("shrink", subject, effect)
    elif problem:
        effect = f"{change} {problem} ({_table_size(context, op)}){_changed_values(context, op)}"
        answers.allow("rewrite", subject, effect, EXPAND_CONTRACT)


def _changed_values(context: MigrationContext, op: ops.AlterColumnOp) -> str:
    """Say how many values are not what they were after the change of type and back."""
    old: Any = op.existing_type
    new: Any = op.modify_type
    column = sa.column(op.column_name, old)
    changed = sa.cast(sa.cast(column, new), old).is_distinct_from(column)
    number = count(_connection(context), sa.table(op.table_name, schema=op.schema), changed)
    if number is None:
        return ", and values may not fit"
    return f", and changes {amount(number, 'value')}" if number else ""


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


def _sync_enum(context: MigrationContext, op: SyncEnumValuesOp, answers: Answers) -> None:
    gone = [value for value in op.old_values if value not in op.new_values]
    for reference in op.affected_columns:
        table = sa.table(reference.table_name, schema=reference.table_schema)
        column = sa.cast(sa.column(reference.column_name), sa.Text)
        used = amount(count(_connection(context), table, column.in_(gone)), "row")
        schema = reference.table_schema
        default = context.dialect.default_schema_name
        subject = label(
            None if schema == default else schema, reference.table_name, reference.column_name
        )
        effect = (
            f"makes the type {op.name} anew without {', '.join(gone) or 'its order'} ({used} use"
            " it and must be changed before), and rewrites the whole table"
        )
        answers.allow("rewrite", subject, effect)


def _table_size(context: MigrationContext, op: Any) -> str:
    return amount(count(_connection(context), sa.table(op.table_name, schema=op.schema)), "row")


def _connection(context: MigrationContext) -> sa.Connection:
    assert context.connection is not None  # noqa: S101  # autogenerate always has one
    return context.connection


_ASSESSMENTS: dict[type, Callable[[MigrationContext, Any, Answers], None]] = {
    ops.DropTableOp: _drop_table,
    ops.DropColumnOp: _drop_column,
    ops.AddColumnOp: _add_column,
    ops.AlterColumnOp: _alter_column,
    SyncEnumValuesOp: _sync_enum,
}
