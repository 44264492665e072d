"""The SQL that the application sends."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from sqlalchemy import event


@contextmanager
def record_statements(app: FastAPI) -> Iterator[list[str]]:
    """Collect the SQL that the application sends."""
    statements: list[str] = []
    engine = app.state.database.engine.sync_engine

    def record(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", record)
    yield statements
    event.remove(engine, "before_cursor_execute", record)
