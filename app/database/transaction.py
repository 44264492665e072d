"""A connection while it is lent to a session, and the transaction on it."""

from typing import Any, NoReturn

import psycopg
from psycopg import AsyncTransaction
from psycopg.errors import InFailedSqlTransaction
from sqlalchemy import Connection
from sqlalchemy.util import greenlet_spawn

from app.database.pool import Pool, PooledConnection


class Transaction:
    """A connection while it is lent, and the transaction on it.

    Connections are in AUTOCOMMIT, and those who only read want nothing else: no BEGIN and no COMMIT
    to wait for. For the others psycopg begins a transaction, or a savepoint if there is one.
    """

    def __init__(self, pool: Pool, *, autocommit: bool) -> None:
        self._pool = pool
        self._autocommit = autocommit
        self._connection: PooledConnection | None = None
        self._for_orm: Connection | None = None
        self._block: AsyncTransaction | None = None
        self._is_borrowing = False
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        return self._block is not None

    async def execute(
        self, sql: str, parameters: tuple[Any, ...] | dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; errors are those that SQLAlchemy raises."""
        connection = self._connection or await self._borrow()
        try:
            await connection.cursor.execute(sql, parameters)
            return await connection.cursor.fetchall()
        except psycopg.Error as error:
            await self._raise(error, sql)

    async def connect(self) -> Connection:
        """Return SQLAlchemy's connection for the ORM; it believes that it is in a transaction."""
        connection = self._connection or await self._borrow()
        if self._for_orm is None:
            self._for_orm = connection.for_sqlalchemy()
            self._for_orm.begin()  # which sends nothing, in AUTOCOMMIT
        return self._for_orm

    async def commit(self) -> None:
        """End the transaction, and give the connection back.

        A statement that failed has undone all of it, which PostgreSQL's COMMIT would not tell.
        """
        try:
            if self._connection and self._connection.has_failed and self._block:
                raise InFailedSqlTransaction("a statement has failed, there is nothing to commit")
            block, self._block = self._block, None
            if block:
                await block.__aexit__(None, None, None)
                if block.status is not AsyncTransaction.Status.COMMITTED:
                    raise psycopg.OperationalError("the connection was lost before COMMIT")
        except psycopg.Error as error:
            await self._raise(error, "COMMIT")
        finally:
            await self._end()

    async def rollback(self) -> None:
        """Undo all since the transaction began, and give the connection back."""
        await self._end()

    async def close(self) -> None:
        """Undo all, and lend nothing any more."""
        self._is_closed = True
        await self._end()

    async def _end(self) -> None:
        block, self._block = self._block, None
        connection, self._connection, self._for_orm = self._connection, None, None
        try:
            if block:
                await block.__aexit__(psycopg.Rollback, psycopg.Rollback(), None)
        finally:
            if connection:
                await self._pool.give_back(connection)

    async def _borrow(self) -> PooledConnection:
        if self._is_closed or self._is_borrowing:
            raise RuntimeError("a session is for one task, until it is closed")
        self._is_borrowing = True
        try:
            connection = self._connection = await self._pool.borrow()
            if not self._autocommit:
                self._block = await self._begin(connection)
        except BaseException:
            await self._end()
            raise
        finally:
            self._is_borrowing = False
        return connection

    async def _begin(self, connection: PooledConnection) -> AsyncTransaction:
        block = AsyncTransaction(connection.driver)
        try:
            return await block.__aenter__()
        except psycopg.Error as error:
            await self._raise(error, "BEGIN")

    async def _raise(self, error: psycopg.Error, sql: str) -> NoReturn:
        """Raise SQLAlchemy's error for psycopg's, which tells whether the connection is lost."""
        connection = await self.connect()
        handle = connection._handle_dbapi_exception  # noqa: SLF001  # it has no public name
        await greenlet_spawn(handle, error, sql, None, None, None)
        raise AssertionError("unreachable")
