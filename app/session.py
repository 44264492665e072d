"""A request's session: SQLModel's own, and psycopg alone for statements that are built once."""

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import psycopg
from psycopg import AsyncTransaction
from psycopg.errors import InFailedSqlTransaction
from sqlalchemy import Connection
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.util import await_only, greenlet_spawn
from sqlmodel import Session as ORMSession
from sqlmodel.ext.asyncio.session import AsyncSession

from app.pool import Pool, PooledConnection
from app.statements import Statement

_T = TypeVar("_T")


class Session(AsyncSession):
    """SQLModel's session, on one connection that the pool lends when a statement first needs it.

    Its statements, the ORM's and those that are built once, are one transaction; or each is one, if
    it is in AUTOCOMMIT, where the ORM is to write nothing.
    """

    def __init__(self, pool: Pool, *, autocommit: bool) -> None:
        self._transaction = Transaction(pool, autocommit=autocommit)
        self._autocommit = autocommit
        self._fetched: list[Any] = []
        self.memo: dict[type, Any] = {}
        """What has been found out for the request, by its type."""

    if not TYPE_CHECKING:  # whoever checks types shall see SQLModel's

        def __getattr__(self, name: str) -> Any:
            """Make SQLModel's part of the session once something of it is asked for.

            Most requests have no use for it, and it takes a twentieth of their time.
            """
            if self._has_orm:
                raise AttributeError(name)
            super().__init__(
                sync_session_class=_ORMSession,
                expire_on_commit=False,
                join_transaction_mode="rollback_only",  # to begin and commit is `Transaction`'s
            )
            self.sync_session.transaction = self._transaction
            return getattr(self, name)

    @property
    def _has_orm(self) -> bool:
        return "sync_session" in self.__dict__

    async def fetch(self, statement: Statement[_T], **parameters: Any) -> list[_T]:
        """Run a statement that was built once and return its rows, as the statement says."""
        if self._has_orm and self.in_transaction():  # it may have something to write
            await self.flush()
        rows = await self._transaction.execute(statement.sql, statement.bind(parameters))
        found = statement.read(rows)
        if not self._autocommit and statement.model:
            self._fetched += found
        return found

    async def fetch_one(self, statement: Statement[_T], **parameters: Any) -> _T:
        """Run a statement that gives one row, or raise `ValueError`."""
        (row,) = await self.fetch(statement, **parameters)
        return row

    async def find_one(self, statement: Statement[_T], **parameters: Any) -> _T | None:
        """Run a statement that gives one row or none."""
        return next(iter(await self.fetch(statement, **parameters)), None)

    def begin(self) -> NoReturn:
        raise NotImplementedError("`Database.transact` begins and commits")

    async def commit(self) -> None:
        """Write what has changed and end the transaction; the next statement begins another.

        Raises `RuntimeError` if an object was changed that was fetched, and not added.
        """
        for row in self._fetched:
            fetched = row[0] if isinstance(row, tuple) else row
            if instance_state(fetched).modified and fetched not in self:
                raise RuntimeError(f"{type(fetched).__name__} was changed without `session.add`")
        if self._has_orm and self.in_transaction():
            await super().commit()
        await self._transaction.commit()

    async def rollback(self) -> None:
        """Undo all since the last commit."""
        self._fetched.clear()
        if self._has_orm:
            await super().rollback()
        await self._transaction.rollback()

    async def close(self) -> None:
        """Undo what was not committed, and give the connection back; a cancelled request too."""
        if self._has_orm or self._transaction.is_open:
            await asyncio.shield(self._close())
        else:
            await self._transaction.close()

    async def _close(self) -> None:
        try:
            if self._has_orm:
                await super().close()
        finally:
            await self._transaction.close()


class _ORMSession(ORMSession):
    transaction: "Transaction"

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        return await_only(self.transaction.connect())


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
