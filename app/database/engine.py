"""The engine: what PostgreSQL and libpq are told for each connection."""

from typing import Final

from sqlalchemy import URL, NullPool
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# What PostgreSQL is told for each connection; milliseconds.
SERVER_SETTINGS: Final = {
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}
# What libpq is told, unless the URL says otherwise; seconds.
_CLIENT_SETTINGS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def create_engine(url: URL, *, prepared_statements: bool) -> AsyncEngine:
    ours = " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items())
    options = f"{ours} {url.query.get('options', '')}".rstrip()  # of two, the URL's comes last
    engine = create_async_engine(
        url,
        poolclass=NullPool,  # `Pool` keeps them
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,
        connect_args={
            **{name: value for name, value in _CLIENT_SETTINGS.items() if name not in url.query},
            "options": options,
            **({} if prepared_statements else {"prepare_threshold": None}),
        },
    )
    listen(engine.sync_engine, "handle_error", _discard_outdated_plan)
    return engine


def _discard_outdated_plan(context: ExceptionContext) -> None:
    """Drop connections whose prepared statements a migration has made unusable.

    PostgreSQL refuses them for ever (`cached plan must not change result type`, 0A000, a message
    that servers translate), and psycopg keeps preparing under the same name. As after a lost
    connection, the request is run again on a new one.
    """
    diagnostics = getattr(context.original_exception, "diag", None)
    if getattr(diagnostics, "source_function", None) == "RevalidateCachedQuery":
        context.is_disconnect = True
