"""What an error of the database means: SQLSTATEs (PostgreSQL manual, appendix A)."""

import re

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

_CONNECTION_ERRORS = {"OperationalError", "ConnectionTimeout", "InterfaceError"}
# Why the database is unavailable, by SQLSTATE or by its class.
_REASONS = {
    **dict.fromkeys(("57014", "55P03", "25P03", "25P04"), "time_limit"),
    "25006": "read_only",
    "08": "connection",
    "40": "conflict",
    "53": "resources",
    "57": "connection",
}
# Read only: of a standby. Prepared statements that are not there, or others: a pooler has changed
# the server behind the connection.
_UNUSABLE = {"25006", "26000", "42P05"}
# What Citus says, with XX000, of a worker that it has lost.
_LOST_WORKER = re.compile(r"failure on connection|could not commit transaction (for|on) shard")
# Citus leaves the constraint's field empty, and the names of its shards end in their numbers.
_NAMED = re.compile(r'constraint "([^"]+)"')
_SHARD = re.compile(r"_\d{6,}$")
_ROLLED_BACK = {"40001", "40P01"}  # serialization_failure, deadlock_detected


class TransactionRequired(Exception):
    """A session that only reads was given something to write, to lock or to stream."""

    def __init__(self, statement: str) -> None:
        super().__init__(
            "this session only reads, each statement by itself, as a GET does;"
            " let the route take `TransactionDep` (docs/recipes.md#a-csv-file-that-streams) for:"
            f" {statement}"
        )


class DeadlineExceeded(Exception):
    """There was no time left to try again."""


class OutcomeUnknown(Exception):
    """The connection was lost at COMMIT: what was to be written may have been, or not."""


_REASONS_OF_CLASSES: dict[type[Exception], str] = {
    PoolTimeoutError: "pool",
    DeadlineExceeded: "time_limit",
    OutcomeUnknown: "outcome",
}


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's five-character error code, or None if the server has said nothing."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def is_repeatable(error: DBAPIError | StaleDataError) -> bool:
    """Tell whether the database has kept nothing, and another try can end differently."""
    if isinstance(error, StaleDataError):  # a row was gone by the time it was written
        return True
    return sqlstate(error) in _ROLLED_BACK or error.connection_invalidated


def proves_unusable(error: BaseException) -> bool:
    """Tell whether the connection will not do from now on, though it is open.

    Also where a migration has outdated a prepared statement, which PostgreSQL refuses for ever
    (`cached plan must not change result type`, 0A000, a message that servers translate), while
    psycopg keeps preparing under the same name.
    """
    state = getattr(error, "sqlstate", None) or ""
    diagnostics = getattr(error, "diag", None)
    is_outdated = getattr(diagnostics, "source_function", None) == "RevalidateCachedQuery"
    return state in _UNUSABLE or state[:2] == "08" or is_outdated


def has_lost_worker(error: DBAPIError) -> bool:
    """Tell whether a server behind the server is gone; at COMMIT, some may have committed."""
    return sqlstate(error) == "XX000" and bool(_LOST_WORKER.search(str(error.orig)))


def find_reason(error: Exception) -> str | None:
    """Return why the database is busy or absent, so that trying again later may help, or None."""
    if not isinstance(error, DBAPIError):
        return _REASONS_OF_CLASSES.get(type(error))
    state = sqlstate(error) or ""
    if has_lost_worker(error):
        return "connection"
    if reason := _REASONS.get(state) or _REASONS.get(state[:2]):
        return reason
    if error.connection_invalidated:
        return "connection"
    is_refused = not state and type(error.orig).__name__ in _CONNECTION_ERRORS
    return "connect" if is_refused else None  # the server has said nothing


def find_cause(error: BaseException) -> str:
    """Return the SQLSTATE, or the class, of the error that came first."""
    while error.__cause__:
        error = error.__cause__
    return getattr(error, "sqlstate", None) or type(error).__name__


def violates(error: IntegrityError, constraint: str) -> bool:
    """Tell whether the database refused a row because of the named constraint."""
    return find_constraint(error) == constraint


def find_constraint(error: IntegrityError) -> str | None:
    """Return the name of the constraint that a row was refused for."""
    diagnostics = getattr(error.orig, "diag", None)
    name: str | None = getattr(diagnostics, "constraint_name", None)
    if name is None and (named := _NAMED.search(str(error.orig))):
        name = named[1]
    return _SHARD.sub("", name) if name else None
