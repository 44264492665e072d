"""The settings of a migration's session: the same whoever runs it, wherever."""

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from alembic_online import postgresql
from alembic_online.upgrade.step import LOCK_TIMEOUT

# What a value means, and how it is shown, must not depend on who migrates, or from where.
_MEANING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
# A long step may take as long as it needs; a lock may not, since others queue behind the wait.
_PATIENCE = {
    "lock_timeout": LOCK_TIMEOUT,
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
# Not each version of PostgreSQL has each setting.
_SET = sa.text("""
    SELECT set_config(name, value, false)
    FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS wanted(name, value)
    WHERE current_setting(name, true) IS NOT NULL
""")
# Written out, `"$user"` no longer leads elsewhere once a revision makes a schema of that name, nor
# in the next run: where the version table is, the tables are.
_SEARCH_PATH = sa.text("""
    SELECT set_config('search_path', string_agg(quote_ident(name), ', ' ORDER BY place), false)
    FROM unnest(current_schemas(false)) WITH ORDINALITY AS path(name, place)
    WHERE name <> current_user OR strpos(current_setting('search_path'), '$user') = 0
       OR NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
                      WHERE pg_class.oid = to_regclass(:versions) AND nspname <> current_user)
    HAVING count(*) > 0
""")


def settle_session(connection: sa.Connection) -> None:
    settings = _PATIENCE | _MEANING
    connection.execute(_SET, {"names": list(settings), "values": list(settings.values())})


def settle_search_path(connection: sa.Connection, context: MigrationContext) -> None:
    """Write the schemas out that names without one lead to."""
    versions = postgresql.quote(
        connection.dialect, context.version_table_schema, context.version_table
    )
    connection.execute(_SEARCH_PATH, {"versions": versions})
    schema = sa.select(sa.func.current_schema())
    connection.dialect.default_schema_name = connection.scalar(schema)


def offline_settings() -> list[str]:
    """Return the statements for whoever carries out the SQL by hand."""
    settings = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": "0"} | _MEANING
    return [f"SET {name} = '{value}'" for name, value in settings.items()]
