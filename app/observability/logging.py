"""How events are logged: a readable line each in development, one JSON object in production."""

import logging
import re
import sys
import traceback
from typing import Final, Literal

import psycopg
import structlog
from fastapi.exceptions import ValidationException
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import (
    ExceptionRenderer,
    JSONRenderer,
    TimeStamper,
    add_log_level,
)
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, ExcInfo, Processor

LogLevel = Literal["debug", "info", "warning", "error"]


_LEVELS: Final = {
    "uvicorn.error": logging.INFO,
    "alembic.runtime.plugins": logging.WARNING,
    "alembic.util.messaging": logging.CRITICAL,  # the same is raised as an error
}
# Our tokens, password hashes, and what authenticates a request or a connection.
_SECRET: Final = re.compile(
    r"\bu(?:st|ml|lc)_[\w-]{8,}|\$(?:argon2\w+|2[aby])\$[^\s'\")]+"
    r"|(?<=Bearer )\S+|(?<=Basic )\S+|(?<=://)[^\s/@]+:[^\s/]+(?=@)"
)


def configure_logging(*, as_json: bool, level: LogLevel) -> None:
    """Send the events of structlog, and of the libraries that use `logging`, to standard error.

    Both look the same, and carry what the request has bound with `bind_contextvars`.
    """
    render: Processor = JSONRenderer(default=str)
    if not as_json:
        colors = sys.stderr.isatty()
        render = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)
    shared: list[Processor] = [
        merge_contextvars,
        add_logger_name,
        add_log_level,
        TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
        ExceptionRenderer(_format_exception),
    ]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
    )
    formatter = ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[ProcessorFormatter.remove_processors_meta, _redact_event, render],
    )
    _take_over_standard_logging(formatter, level)


class _StandardError:
    """Writes to what is standard error now; one call for each line, lest processes mix theirs."""

    def __init__(self, name: str = "app") -> None:
        self.name = name

    def info(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")

    debug = warning = error = critical = info


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _StandardError().info(self.format(record))


def _take_over_standard_logging(formatter: logging.Formatter, level: LogLevel) -> None:
    root = logging.getLogger()
    handler = _Handler()
    handler.setFormatter(formatter)
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)]
    root.addHandler(handler)
    # What libraries tell when they are debugged may hold the data that they handle.
    root.setLevel("INFO" if level == "debug" else level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        # The line of each access has the query; `RequestEvents` says more, and not that.
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name, least in _LEVELS.items():
        logging.getLogger(name).setLevel(max(least, root.level))


def _redact_event(_: object, __: str, event: EventDict) -> EventDict:
    event["event"] = redact(str(event["event"]))
    return event


def redact(text: str) -> str:
    """Replace whatever looks like a secret of this service."""
    return _SECRET.sub("[secret]", text)


def _format_exception(exc_info: ExcInfo) -> str:
    """Format an exception after its causes, as Python does: what was raised is the last line.

    No value of a row or of a request is in it.
    """
    error: BaseException | None = exc_info[1]
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}: {_say(error)}")
        context = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or context
    return redact("\n\nand then:\n".join(reversed(parts)))


def _say(error: BaseException) -> str:
    """Give the message of an exception, without the values that some libraries put into theirs."""
    if isinstance(error, DBAPIError):
        return f"{_say(error.orig) if error.orig else ''} [{error.statement}]"
    if isinstance(error, PendingRollbackError):  # which repeats the error before it
        return "a statement before this one has failed"
    if isinstance(error, psycopg.Error) and error.sqlstate:
        # "Failing row contains (...)" stands in the detail; of class 22, data exceptions, even
        # the message quotes what was refused.
        primary = error.diag.message_primary if error.sqlstate[:2] != "22" else "data exception"
        return f"{error.sqlstate}: {primary}"
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False, include_context=False, include_input=False))
    if isinstance(error, ValidationException):  # of an answer that is not what its model says
        return str(
            [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
        )
    return str(error)
