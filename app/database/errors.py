"""What an error of the database means: SQLSTATEs (PostgreSQL manual, appendix A)."""

from sqlalchemy.exc import DBAPIError, IntegrityError

_CONNECTION_ERRORS = {"OperationalError", "ConnectionTimeout", "InterfaceError"}
_UNAVAILABLE_CLASSES = {"08", "40", "53", "57"}  # connection, rollback, resources, intervention
_UNAVAILABLE = {"25P03", "25P04", "55P03", "25006"}  # time limits, lock_not_available, read only


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's five-character error code, or None if the server has said nothing."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def is_unavailable(error: DBAPIError) -> bool:
    """Tell whether the database is busy or absent, so that trying again later may help."""
    state = sqlstate(error)
    if state is None:  # the connection failed; the server has said nothing
        return error.connection_invalidated or type(error.orig).__name__ in _CONNECTION_ERRORS
    return state[:2] in _UNAVAILABLE_CLASSES or state in _UNAVAILABLE


def violates(error: IntegrityError, constraint: str) -> bool:
    """Tell whether the database refused a row because of the named constraint."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None) == constraint
