"""An index of a partitioned table: built on each partition CONCURRENTLY, then attached to it.

PostgreSQL builds none concurrently on the table itself. ON ONLY makes one in an instant, which is
valid once every partition has its own.
"""

from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as dialects
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateIndex

from alembic_online import postgresql
from alembic_online.postgresql import quote
from alembic_online.upgrade.refusal import refusal
from alembic_online.upgrade.step import Step

# What follows the names in the definition of an index.
_TAIL = sa.text("""
    SELECT indisunique, substr(pg_get_indexdef(indexrelid), 1 + length(format(
        'CREATE %sINDEX %I ON ONLY %I.%I', CASE WHEN indisunique THEN 'UNIQUE ' END,
        i.relname, n.nspname, t.relname))) AS tail
    FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid JOIN pg_class AS t ON t.oid = indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE indexrelid = to_regclass(:index)
""")
_PARTITIONS = sa.text("""
    SELECT nspname, relname, relkind = 'p' AS parted FROM pg_inherits
    JOIN pg_class AS c ON c.oid = inhrelid JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE inhparent = to_regclass(:table) ORDER BY relname
""")


def build_on_partitions(step: Step, index: sa.Index, table: sa.Table, name: str) -> None:
    """Create an index of a partitioned table; if its rows do not allow it, leave nothing behind."""
    whole = quote(step.dialect, table.schema, name)
    with step.outside_transaction():
        if not (step.resuming and postgresql.is_partitioned(step.connection, _named(name, table))):
            step.execute(_on_only(index, name))
        try:
            _build_below(step, table, _named(name, table), name)
        except IntegrityError as error:
            step.execute(f"DROP INDEX {whole}")
            raise refusal(error) from error


def _on_only(index: sa.Index, name: str) -> str:
    dialect = dialects.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # not typed there
    head = f"{quote(dialect, name)} ON "
    return str(CreateIndex(index).compile(dialect=dialect)).replace(head, f"{head}ONLY ", 1)


def _build_below(step: Step, table: sa.Table, above: sa.Table, name: str) -> None:
    """Give each partition of a table an index like the one above, and attach it."""
    quoted_above = step.quoted(above)
    unique, tail = step.connection.execute(_TAIL, {"index": quoted_above}).one()
    partitions = step.connection.execute(_PARTITIONS, {"table": step.quoted(table)}).all()
    for schema, relation, is_parted in partitions:
        part = sa.Table(relation, sa.MetaData(), schema=schema)
        own = _named(_name_of(relation, name), part)
        create = f"CREATE {'UNIQUE ' if unique else ''}INDEX"
        if is_parted and not postgresql.is_partitioned(step.connection, own):
            step.execute(f"{create} {step.quote(own.name)} ON ONLY {step.quoted(part)}{tail}")
        elif not is_parted and not _is_complete(step, part, own):
            sql = f"{create} CONCURRENTLY {step.quote(own.name)} ON {step.quoted(part)}{tail}"
            _build(step, sql, part, own)
        step.execute(f"ALTER INDEX {quoted_above} ATTACH PARTITION {step.quoted(own)}")
        if is_parted:
            _build_below(step, part, own, name)


def _build(step: Step, sql: str, part: sa.Table, own: sa.Table) -> None:
    with step.unhurried(f"creating index {own.name}"):
        try:
            step.execute(sql)
        except DBAPIError as error:
            if not error.connection_invalidated:
                _is_complete(step, part, own)
            raise


def _is_complete(step: Step, part: sa.Table, own: sa.Table) -> bool:
    """Tell whether a partition has the index; drop one that is half made."""
    valid = postgresql.is_index_valid(step.connection, part, own.name)
    if valid is False:
        step.execute(f"DROP INDEX CONCURRENTLY {step.quoted(own)}")
    return bool(valid)


def _name_of(relation: str, name: str) -> str:
    both = f"{relation}_{name}"
    mark = f"_{crc32(both.encode()):08x}"
    return both if len(both.encode()) <= postgresql.NAME_BYTES else postgresql.shortened(both, mark)


def _named(name: str, table: sa.Table) -> sa.Table:
    """Return an index as what has a schema and a name."""
    return sa.Table(name, sa.MetaData(), schema=table.schema)
