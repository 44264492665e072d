"""Constraints on a live table are first promised, then proven: neither readers nor writers wait.

NOT VALID takes a moment and binds new rows; VALIDATE reads the old ones without blocking anyone.
"""

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.exc import IntegrityError

from alembic_online import postgresql
from alembic_online.upgrade.indexes import build_index
from alembic_online.upgrade.refusal import refusal
from alembic_online.upgrade.step import Step

# What PostgreSQL itself calls a constraint that is given no name.
_SUFFIXES = {
    sa.UniqueConstraint: "_key",
    sa.ForeignKeyConstraint: "_fkey",
    sa.CheckConstraint: "_check",
}


def create_constraint(step: Step, operation: ops.AddConstraintOp) -> None:
    options = getattr(operation, "kw", {})
    opted_out = options.pop("postgresql_concurrently", None) is False
    constraint = operation.to_constraint(step.operations.migration_context)
    if opted_out:
        step.operations.impl.add_constraint(constraint)
    else:
        add_constraint(step, constraint)


def add_constraint(step: Step, constraint: sa.Constraint) -> None:
    """Add a constraint to a table, without blocking those who use it if there is a way."""
    plain = "postgresql_not_valid" in list(constraint.dialect_kwargs)  # as given, no defaults
    if plain or type(constraint) not in _SUFFIXES or not step.is_live(constraint.table):
        step.operations.impl.add_constraint(constraint)
    elif isinstance(constraint, sa.UniqueConstraint):
        _add_unique(step, constraint)
    else:
        _add_validated(step, constraint)


def _add_unique(step: Step, constraint: sa.UniqueConstraint) -> None:
    table, name = constraint.table, _name(step, constraint)
    if step.resuming and postgresql.has_constraint(step.connection, table, name):
        return
    options = dict(constraint.dialect_kwargs)
    build_index(step, sa.Index(name, *constraint.columns, unique=True, **options))
    quoted = step.quote(name)
    step.execute(
        f"ALTER TABLE {step.quoted(table)} ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted}"
        + _when_checked(constraint)
    )


def _when_checked(constraint: sa.UniqueConstraint) -> str:
    deferrable = " DEFERRABLE" if constraint.deferrable else ""
    return deferrable + (f" INITIALLY {constraint.initially}" if constraint.initially else "")


def _add_validated(step: Step, constraint: sa.Constraint) -> None:
    table, name = constraint.table, _name(step, constraint)
    if not (step.resuming and postgresql.has_constraint(step.connection, table, name)):
        constraint.dialect_kwargs["postgresql_not_valid"] = True
        step.operations.impl.add_constraint(constraint)
    validate(step, table, name)


def validate(step: Step, table: sa.Table, name: str, *, broken_by: str | None = None) -> None:
    """Prove a constraint that is NOT VALID, or drop it: it would go on refusing new rows.

    `broken_by` says what is wrong with the rows, when PostgreSQL's own answer does not.
    """
    quoted = step.quote(name)
    try:
        with step.unhurried(f"validating constraint {name} of {table.fullname}"):
            step.note(f"If this fails, drop constraint {quoted} before you try again.")
            step.execute(f"ALTER TABLE {step.quoted(table)} VALIDATE CONSTRAINT {quoted}")
    except IntegrityError as error:
        with step.outside_transaction():
            step.execute(f"ALTER TABLE {step.quoted(table)} DROP CONSTRAINT {quoted}")
        raise refusal(error, broken_by) from error


def _name(step: Step, constraint: sa.Constraint) -> str:
    """Return the constraint's name, given, by convention, or as PostgreSQL would choose it."""
    name = step.name_of(constraint)
    if name is None:
        columns = (column.name for column in getattr(constraint, "columns", ()))
        base = "_".join((constraint.table.name, *columns))
        name = postgresql.shortened(base, _SUFFIXES[type(constraint)])
        constraint.name = sa.schema.conv(name)
    return name
