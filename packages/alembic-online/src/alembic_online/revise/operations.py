"""The operations that autogenerate does not have: renames, and remarks in the file."""

from dataclasses import dataclass
from textwrap import wrap

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.sql.compiler import IdentifierPreparer

from alembic_online.revise.rendering import escape_colons, for_text


class RenameColumn(ops.AlterColumnOp):
    """`op.alter_column(table, old, new_column_name=new)`, which knows its way back."""

    def reverse(self) -> "RenameColumn":
        assert self.modify_name is not None  # noqa: S101  # it is what the class is for
        return RenameColumn(
            self.table_name, self.modify_name, modify_name=self.column_name, schema=self.schema
        )


class RenameTable(ops.RenameTableOp):
    """`op.rename_table(old, new)`, which knows its way back."""

    def reverse(self) -> "RenameTable":
        return RenameTable(self.new_table_name, self.table_name, schema=self.schema)


class BridgedTable(RenameTable):
    """A rename that leaves the old name to those who use it."""


@dataclass
class RenameConstraint(ops.MigrateOperation):
    """A new name for an index or constraint, in SQL because Alembic has no directive for it.

    PostgreSQL renames a primary key or unique constraint with its index, and only an index can be
    renamed "if it exists", so that doing it again does no harm.
    """

    table: str
    schema: str | None
    old: str
    new: str
    is_index: bool

    def reverse(self) -> "RenameConstraint":
        return RenameConstraint(self.table, self.schema, self.new, self.old, self.is_index)

    def sql(self, preparer: IdentifierPreparer) -> str:
        quote = preparer.quote
        schema = f"{quote(self.schema)}." if self.schema else ""
        old, new = quote(self.old), quote(self.new)
        if self.is_index:
            return f"ALTER INDEX {schema}{old} RENAME TO {new}"
        return f"ALTER TABLE {schema}{quote(self.table)} RENAME CONSTRAINT {old} TO {new}"


@dataclass
class AlterSequence(ops.MigrateOperation):
    """Another integer type, and with it another greatest value, for a sequence."""

    sequence: str  # quoted, as PostgreSQL shows it
    old: str
    new: str

    def reverse(self) -> "AlterSequence":
        return AlterSequence(self.sequence, old=self.new, new=self.old)


@dataclass
class Remark(ops.MigrateOperation):
    """A comment in the revision file."""

    text: str


@renderers.dispatch_for(ops.RenameTableOp)
def _render_rename_table(_: AutogenContext, op: ops.RenameTableOp) -> str:
    schema = f", schema={op.schema!r}" if op.schema else ""
    return f"op.rename_table({op.table_name!r}, {op.new_table_name!r}{schema})"


@renderers.dispatch_for(RenameConstraint)
def _render_rename_constraint(context: AutogenContext, op: RenameConstraint) -> str:
    sql = for_text(op.sql(context.dialect.identifier_preparer), context.dialect)
    return f"op.execute({sql!r})"


@renderers.dispatch_for(AlterSequence)
def _render_alter_sequence(_: AutogenContext, op: AlterSequence) -> str:
    return f"op.execute({escape_colons(f'ALTER SEQUENCE {op.sequence} AS {op.new}')!r})"


@renderers.dispatch_for(Remark)
def _render_remark(_: AutogenContext, op: Remark) -> list[str]:
    return [f"# {line}" for line in wrap(op.text, width=90, subsequent_indent="  ")]
