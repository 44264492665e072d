"""SQLite: a revision is one transaction, so that one that fails leaves nothing half made.

Its driver begins a transaction with the first row that is written, and commits each CREATE TABLE
before that at once: the copy of a table whose rows were refused would stay, and stop the next run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from alembic_online.upgrade.refusal import refusal

OPTIONS = {"transactional_ddl": True}


@contextmanager
def whole_transactions(connection: sa.Connection) -> Iterator[None]:
    """Have each transaction of the block begin at its beginning."""
    sa.event.listen(connection, "begin", _begin)
    try:
        yield
    except IntegrityError as error:
        raise refusal(error) from error


def _begin(connection: sa.Connection) -> None:
    if not getattr(connection.connection.dbapi_connection, "in_transaction", True):
        connection.exec_driver_sql("BEGIN")
