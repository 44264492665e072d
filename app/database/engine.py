"""The engine: its pool, what PostgreSQL is told for each connection, and where BEGIN is sent."""

import re
from typing import Any, Final

from sqlalchemy import URL, Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.database import commits
from app.database.deadline import keep_deadlines
from app.database.errors import TransactionRequired, proves_unusable

# What PostgreSQL is told for each connection; milliseconds.
SERVER_SETTINGS: Final = {
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}
# What libpq is told, unless the URL says otherwise; seconds, but for `tcp_user_timeout`:
# milliseconds until a server that has vanished without a word is given up. An address may lead to
# a standby for a while, and a connection would stay there.
_CLIENT_SETTINGS: Final = {
    "target_session_attrs": "read-write",
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SEVERAL_HOSTS: Final = {"connect_timeout": 2}  # for each
_PATIENCE: Final = 3  # seconds that a session waits for a connection
_LIFETIME: Final = 1800  # seconds: some networks forget connections in the end

# Execution options of a connection: each statement is its own transaction; and only reads.
AUTOCOMMIT: Final = {"autocommit": True, "read_only": False}
READ_ONLY: Final = {"autocommit": True, "read_only": True}

_READS: Final = re.compile(
    r"(?:\s|\(|/\*.*?\*/|--[^\n]*\n)*"
    r"(SELECT|WITH|VALUES|TABLE|SHOW|EXPLAIN|RESET|SET\s+(?!LOCAL|TRANSACTION))\b",
    re.IGNORECASE | re.DOTALL,
)
_WRITES_OR_LOCKS: Final = re.compile(
    r"\b(INSERT\s+INTO|UPDATE\s+(ONLY\s+)?\S+(\s+AS\s+\S+|\s+\w+)?\s+SET|DELETE\s+FROM|MERGE\s+INTO"
    r"|FOR\s+(NO\s+KEY\s+)?UPDATE|FOR\s+(KEY\s+)?SHARE)\b|\b(nextval|setval)\s*\("
    r"|^\s*SELECT\b(?:(?!\bFROM\b).)*\bINTO\b",
    re.IGNORECASE | re.DOTALL,
)
_TEXT: Final = re.compile(r"'[^']*'")
# What stays set: not until the end of the transaction only, as by SET LOCAL.
_SETS: Final = re.compile(
    r"\s*SET\s+(?!LOCAL|TRANSACTION|CONSTRAINTS)"
    r"|.*\bset_config\s*\((?![^()]*,\s*true\s*\))",
    re.IGNORECASE | re.DOTALL,
)
_HAS_SETTINGS: Final = "has settings of its own"


def create_engine(url: URL, *, pool_size: int, prepared_statements: bool) -> AsyncEngine:
    """Return an engine whose connections begin a transaction, unless their options say otherwise.

    The driver is in AUTOCOMMIT, so that those who only read send no BEGIN and no ROLLBACK. For the
    others the `begin` event sends BEGIN, as SQLAlchemy's manual does for SQLite. Another isolation
    level is asked for as ever, by the option `isolation_level`; the driver then begins.
    """
    ours = " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items())
    has_several = "," in url.query.get("host", "")
    client = _CLIENT_SETTINGS | (_SEVERAL_HOSTS if has_several else {})
    options = f"{ours} {url.query.get('options', '')}".rstrip()  # of two, the URL's comes last
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_PATIENCE,
        pool_recycle=_LIFETIME,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            **{name: value for name, value in client.items() if name not in url.query},
            "options": options,
            **({} if prepared_statements else {"prepare_threshold": None}),
        },
    )
    keep_deadlines(engine)
    listen(engine.sync_engine, "begin", _begin)
    listen(engine.sync_engine, "commit", _count_commit)
    listen(engine.sync_engine, "before_cursor_execute", _look_at_statement)
    listen(engine.sync_engine, "checkin", _forget_settings)
    listen(engine.sync_engine, "handle_error", _discard_unusable)
    return engine


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("autocommit") and "isolation_level" not in options:
        connection.exec_driver_sql("BEGIN")


def _count_commit(connection: Connection) -> None:
    if not connection.get_execution_options().get("autocommit"):
        commits.note()


def _look_at_statement(
    connection: Connection, _: Any, statement: str, __: Any, context: Any, *___: Any
) -> None:
    """Refuse what a reader cannot do, since its effect would stay, or end at once."""
    if connection.get_execution_options().get("read_only") and (
        not _READS.match(statement)
        or _WRITES_OR_LOCKS.search(_TEXT.sub("''", statement))
        or (context and context.execution_options.get("stream_results"))
    ):
        raise TransactionRequired(statement)
    if _SETS.match(statement):
        connection.info[_HAS_SETTINGS] = True


def _forget_settings(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    """Close a connection on which somebody has said SET: it is to mean nothing to the next."""
    if entry.info.get(_HAS_SETTINGS):
        entry.invalidate()


def _discard_unusable(context: ExceptionContext) -> None:
    """As after a lost connection, the request is run again on a new one; all older ones go too."""
    if proves_unusable(context.original_exception):
        context.is_disconnect = True
