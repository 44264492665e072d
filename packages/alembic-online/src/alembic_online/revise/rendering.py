"""How types, defaults and conditions are written into a revision: portable and exact."""

import re
from dataclasses import fields
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import functions

from alembic_online.upgrade.backfill import BackfillOp

Rendered = str | Literal[False]  # False leaves it to Alembic

# 'text' or 'text'::type, as PostgreSQL shows a default.
_LITERAL = re.compile(r"""'((?:[^']|'')*)'(?:::[\w ."\[\]]+)?""")

_ENUM_LEAVES_TYPE = sa.__version__ >= "2.1"  # before, create_type is PostgreSQL's own ENUM's alone


def render_item(kind: str, item: Any, context: AutogenContext) -> Rendered:
    """Alembic's hook: what stands in the file for a type, a default or a CHECK."""
    if kind == "type":
        return _render_type(item, context)
    if kind == "server_default":
        return _render_default(item, context)
    if kind == "check":
        return _render_check(item, context)
    return False


def sql_text(expression: sa.ClauseElement, dialect: sa.Dialect) -> str:
    """Write an expression so that `sa.text()` gives back the same SQL."""
    options = {"literal_binds": True, "include_table": False}
    return for_text(str(expression.compile(dialect=dialect, compile_kwargs=options)), dialect)


def for_text(sql: str, dialect: sa.Dialect) -> str:
    """Turn SQL for the driver into SQL for `sa.text()`, which doubles percent signs once more."""
    if _doubles_percent_signs(dialect):
        sql = sql.replace("%%", "%")
    return escape_colons(sql)


def escape_colons(sql: str) -> str:
    """Keep `sa.text()` from taking `:word` for a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w+(?![:\w]))", r"\\:", sql)


def _render_type(type_: Any, context: AutogenContext) -> Rendered:
    if isinstance(type_, sa.TypeDecorator) and not type(type_).__module__.startswith("sqlalchemy."):
        # The application's own type is not there when the revision runs, what it stores as is.
        stored = type_.load_dialect_impl(context.dialect)
        return _render_type(stored, context) or _render_stored(stored, context)
    if isinstance(type_, sa.Enum) and type_.native_enum and context.dialect.name == "postgresql":
        members = ", ".join(map(repr, type_.enums))
        schema = f", schema={type_.schema!r}" if type_.schema else ""
        if not _ENUM_LEAVES_TYPE:
            context.imports.add("from sqlalchemy.dialects import postgresql")
        enum = "sa.Enum" if _ENUM_LEAVES_TYPE else "postgresql.ENUM"
        return f"{enum}({members}, name={type_.name!r}{schema}, create_type=False)"
    return False


def _render_stored(type_: Any, context: AutogenContext) -> str:
    _, _, dialect = type(type_).__module__.partition("sqlalchemy.dialects.")
    if not dialect:
        return f"sa.{type_!r}"
    name = dialect.partition(".")[0]
    context.imports.add(f"from sqlalchemy.dialects import {name}")
    return context.migration_context.impl.render_type(type_, context) or f"{name}.{type_!r}"


def _render_default(  # noqa: PLR0911  # one a kind of default
    default: Any, context: AutogenContext
) -> Rendered:
    if isinstance(default, sa.DefaultClause):
        reflected, default = default.reflected, default.arg
    else:
        reflected = False
    if isinstance(default, str):
        return repr(default)
    if isinstance(default, sa.True_ | sa.False_):
        return f"sa.{default}()"
    if isinstance(default, sa.Computed):
        sql = sql_text(default.sqltext, context.dialect)
        return f"sa.Computed({sql!r}, persisted={default.persisted!r})"
    if isinstance(default, functions.now):
        return "sa.func.now()"
    if isinstance(default, sa.TextClause):
        return _render_reflected(default.text) if reflected else f"sa.text({default.text!r})"
    if isinstance(default, sa.ClauseElement) and not isinstance(default, sa.FetchedValue):
        return f"sa.text({sql_text(default, context.dialect)!r})"
    return False


def _render_reflected(sql: str) -> str:
    """Write what the database shows for a default that a downgrade brings back."""
    if sql in {"true", "false"}:
        return f"sa.{sql}()"
    if sql == "now()":
        return "sa.func.now()"
    if literal := _LITERAL.fullmatch(sql):
        return repr(literal[1].replace("''", "'"))
    return f"sa.text({escape_colons(sql)!r})"


def _render_check(constraint: sa.CheckConstraint, context: AutogenContext) -> Rendered:
    sql = sql_text(constraint.sqltext, context.dialect)
    if not {"%", "\\"} & set(sql) or not constraint.name:
        return False
    return f"sa.CheckConstraint({sql!r}, name=op.f({str(constraint.name)!r}))"


def _doubles_percent_signs(dialect: sa.Dialect) -> bool:
    """Tell whether SQL compiled for this driver has `%%` for `%`."""
    return "%%" in dialect.identifier_preparer.quote("%")


_alembics_check = renderers.dispatch(ops.CreateCheckConstraintOp)
_alembics_index = renderers.dispatch(ops.CreateIndexOp)


@renderers.dispatch_for(ops.CreateCheckConstraintOp, replace=True)
def _render_create_check(context: AutogenContext, op: ops.CreateCheckConstraintOp) -> str:
    condition: Any = op.to_constraint()
    sql = context.migration_context.impl.render_ddl_sql_expr(condition.sqltext)
    written = for_text(sql, context.dialect)
    try:
        rendered: str = _alembics_check(context, op)
    except NotImplementedError:  # before Alembic 1.19.2
        schema = f", schema={op.schema!r}" if op.schema else ""
        name = f"op.f({str(op.constraint_name)!r})"
        return f"op.create_check_constraint({name}, {op.table_name!r}, {written!r}{schema})"
    return rendered.replace(repr(sql), repr(written))


@renderers.dispatch_for(ops.CreateIndexOp, replace=True)
def _render_create_index(context: AutogenContext, op: ops.CreateIndexOp) -> str:
    rendered: str = _alembics_index(context, op)
    return rendered.replace("%%", "%") if _doubles_percent_signs(context.dialect) else rendered


@renderers.dispatch_for(BackfillOp)
def _render_backfill(_: AutogenContext, op: BackfillOp) -> str:
    values = ", ".join(f"{name!r}: {_as_text(value)}" for name, value in op.values.items())
    where = {} if op.where is None else {"where": _as_text(op.where)}
    names = ("batch", "pause", "max_lag", "max_transaction", "schema")
    given = {name: getattr(op, name) for name in names}
    others = {name: repr(value) for name, value in given.items() if value != _BACKFILL[name]}
    options = "".join(f", {name}={value}" for name, value in (where | others).items())
    return f"op.backfill({op.table_name!r}, {{{values}}}{options})"


_BACKFILL = {field.name: field.default for field in fields(BackfillOp)}


def _as_text(expression: sa.ClauseElement) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # not typed there
    return f"sa.text({sql_text(expression, dialect)!r})"
