"""Questions to PostgreSQL's catalogue, and SQL made of names."""

import sqlalchemy as sa

NAME_BYTES = 63  # NAMEDATALEN - 1: PostgreSQL cuts longer names


def sqlstate(error: sa.exc.DBAPIError) -> str:
    """Return PostgreSQL's code of an error, which psycopg2 names otherwise than all others."""
    codes = (getattr(error.orig, name, None) for name in ("sqlstate", "pgcode"))
    return next(filter(None, codes), "")


def message_of(error: sa.exc.DBAPIError) -> tuple[str, str | None]:
    """Return what PostgreSQL says of an error: the message, and the detail if there is one."""
    message = diagnosis(error, "message_primary") or diagnosis(error, "message")
    detail = diagnosis(error, "message_detail") or diagnosis(error, "detail")
    return message or str(error.orig), detail


def diagnosis(error: sa.exc.DBAPIError, name: str) -> str | None:
    """Return a field of PostgreSQL's answer, such as `table_name`."""
    said: object = error.orig  # asyncpg's own error is the cause of SQLAlchemy's
    said = getattr(said, "diag", None) or getattr(said, "__cause__", None) or said
    found = getattr(said, name, None)
    return found if isinstance(found, str) else None


def reason(error: sa.exc.DBAPIError) -> str:
    """Return what the database says of an error, in a line."""
    return message_of(error)[0].splitlines()[0]


def literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def statement(sql: str) -> sa.TextClause:
    """Take SQL as it is: a colon in a quoted name is no parameter."""
    return sa.text(sql.replace(":", "\\:"))


def quote(dialect: sa.Dialect, *names: str | None) -> str:
    """Quote what needs it: a name, or a schema (None if it is the usual one) and a name."""
    parts = [dialect.identifier_preparer.quote(name) for name in names if name]
    # The preparer doubles percent signs for drivers that substitute; `statement()` does so too.
    return ".".join(parts).replace("%%", "%")


def quoted(dialect: sa.Dialect, table: sa.Table | sa.TableClause) -> str:
    return quote(dialect, table.schema, table.name)


def shortened(name: str, suffix: str = "") -> str:
    """Cut a name as PostgreSQL would, but keep its suffix."""
    kept = name.encode()[: NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    return kept + suffix


def has_column(connection: sa.Connection, table: sa.Table, column: str) -> bool:
    query = """SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:table)
               AND attname = CAST(:name AS name) AND NOT attisdropped"""
    return _ask(connection, query, table, column) is not None


def has_constraint(connection: sa.Connection, table: sa.Table, name: str) -> bool:
    query = """SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(:table)
               AND conname = CAST(:name AS name)"""
    return _ask(connection, query, table, name) is not None


def is_index_valid(connection: sa.Connection, table: sa.Table, name: str) -> bool | None:
    """Tell whether the table's index is complete; None if there is none of this name."""
    query = """SELECT indisvalid FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
               WHERE indrelid = to_regclass(:table) AND relname = CAST(:name AS name)"""
    valid = _ask(connection, query, table, name)
    return None if valid is None else bool(valid)


def is_partitioned(connection: sa.Connection, table: sa.Table) -> bool:
    """Tell whether a table or an index has partitions, which can't be treated concurrently."""
    query = "SELECT 1 FROM pg_class WHERE oid = to_regclass(:table) AND relkind IN ('p', 'I')"
    return _ask(connection, query, table) is not None


def has_type(connection: sa.Connection, schema: str | None, name: str) -> bool:
    quoted_name = quote(connection.dialect, schema, name)
    return connection.scalar(sa.select(sa.func.to_regtype(quoted_name))) is not None


def users_of_type(connection: sa.Connection, schema: str, name: str) -> list[tuple[str, str, str]]:
    """Return schema, table and name of each column of a type, or of an array of it."""
    query = """SELECT n.nspname, relname, attname FROM pg_attribute
               JOIN pg_type AS t ON t.oid = atttypid OR t.typarray = atttypid
               JOIN pg_namespace AS tn ON tn.oid = typnamespace AND tn.nspname = :schema
               JOIN pg_class AS c ON c.oid = attrelid AND NOT relispartition
               JOIN pg_namespace AS n ON n.oid = relnamespace
               WHERE typname = CAST(:name AS name) AND NOT attisdropped
               AND relkind IN ('r', 'p')"""
    rows = connection.execute(sa.text(query), {"schema": schema, "name": name})
    return [(row.nspname, row.relname, row.attname) for row in rows]


def _ask(connection: sa.Connection, query: str, table: sa.Table, name: str = "") -> object:
    parameters = {"table": quoted(connection.dialect, table), "name": name}
    return connection.scalar(sa.text(query), parameters)
