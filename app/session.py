"""A request's session: SQLModel's own, and psycopg alone for statements that are built once."""

import asyncio
from typing import Any, NoReturn, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.util import await_only, greenlet_spawn
from sqlmodel import Session as ORMSession
from sqlmodel.ext.asyncio.session import AsyncSession

from app.statements import Statement

_T = TypeVar("_T")
_Rows = list[tuple[Any, ...]]


class Session(AsyncSession):
    """SQLModel's session, on one connection that the pool lends when a statement first needs it.

    Its statements, the ORM's and those that are built once, are one transaction; if it is
    `read_only`, each sees a snapshot of its own, and the ORM is to write nothing.
    """

    def __init__(self, engine: AsyncEngine, *, read_only: bool) -> None:
        super().__init__(
            sync_session_class=_ORMSession,
            expire_on_commit=False,
            join_transaction_mode="rollback_only",  # to begin and to commit is `Transaction`'s
        )
        self._transaction = Transaction(engine, read_only=read_only)
        self._read_only = read_only
        self._fetched: list[Any] = []
        cast(_ORMSession, self.sync_session).transaction = self._transaction

    async def fetch(self, statement: Statement[_T], **parameters: Any) -> list[_T]:
        """Run a statement that was built once and return its rows, as the statement says."""
        if self.in_transaction():  # the ORM's: it may have something to write
            await self.flush()
        rows = await self._transaction.execute(statement.sql, statement.bind(parameters))
        found = statement.read(rows)
        if not self._read_only and statement.model:
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
        self._fetched.clear()
        if self.in_transaction():
            await super().commit()
        await self._transaction.commit()

    async def rollback(self) -> None:
        """Undo all since the last commit."""
        await super().rollback()
        await self._transaction.rollback()

    async def close(self) -> None:
        """Undo what was not committed, and give the connection back; a cancelled request too."""
        if self.in_transaction():  # else there is nothing to forget either
            self.sync_session.close()  # which sends nothing, in AUTOCOMMIT
        if self._transaction.is_open:
            await asyncio.shield(self._transaction.rollback())
        else:
            await self._transaction.give_back()


class _ORMSession(ORMSession):
    transaction: "Transaction"

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        return await_only(self.transaction.connect())


class Transaction:
    """A connection of the pool while it is lent, and the transaction on it.

    To SQLAlchemy all connections are in AUTOCOMMIT, and those who only read want nothing else: no
    BEGIN and no COMMIT to wait for. For the others psycopg begins a transaction, or a savepoint if
    there is one.
    """

    def __init__(self, engine: AsyncEngine, *, read_only: bool) -> None:
        self._engine = engine
        self._read_only = read_only
        self._connection: Connection | None = None
        self._block: AsyncTransaction | None = None
        self._status = TransactionStatus.UNKNOWN

    @property
    def is_open(self) -> bool:
        return self._block is not None

    async def execute(self, sql: str, parameters: dict[str, Any]) -> _Rows:
        """Run a statement and return its rows; errors are those that SQLAlchemy raises."""
        connection = self._connection or await self._borrow()
        try:
            cursor = _find_cursor(connection)
            await cursor.execute(sql, parameters)
            return await cursor.fetchall()
        except psycopg.Error as error:
            await _raise(connection, error, sql)

    async def connect(self) -> Connection:
        """Return the connection for the ORM, which believes that it is in a transaction."""
        connection = self._connection or await self._borrow()
        if not connection.in_transaction():
            connection.begin()  # which sends nothing, in AUTOCOMMIT
        return connection

    async def commit(self) -> None:
        """End the transaction, and give the connection back."""
        block, self._block = self._block, None
        if block and self._connection:
            try:
                await block.__aexit__(None, None, None)
                if block.status is not AsyncTransaction.Status.COMMITTED:
                    raise psycopg.OperationalError("the connection was lost before COMMIT")
            except psycopg.Error as error:
                await _raise(self._connection, error, "COMMIT")
        await self.give_back()

    async def rollback(self) -> None:
        """Undo all since the transaction began, and give the connection back."""
        block, self._block = self._block, None
        try:
            if block:
                await block.__aexit__(psycopg.Rollback, psycopg.Rollback(), None)
        finally:
            await self.give_back()

    async def give_back(self) -> None:
        """Let others have the connection, unless it is in a state that they cannot start from."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not connection.invalidated and _find_status(connection) is not self._status:
            await greenlet_spawn(connection.invalidate)
        connection.close()

    async def _borrow(self) -> Connection:
        connection = await greenlet_spawn(self._engine.sync_engine.connect)
        self._connection = connection
        self._status = _find_status(connection)
        if not self._read_only:
            block = AsyncTransaction(_find_driver(connection))
            try:
                await block.__aenter__()
            except psycopg.Error as error:
                await _raise(connection, error, "BEGIN")
            self._block = block
        return connection


async def _raise(connection: Connection, error: psycopg.Error, sql: str) -> NoReturn:
    """Raise SQLAlchemy's error for psycopg's, and have it drop what is lost, as it does itself."""
    handle = connection._handle_dbapi_exception  # noqa: SLF001  # it has no public name
    await greenlet_spawn(handle, error, sql, None, None, None)
    raise AssertionError("unreachable")


def _find_driver(connection: Connection) -> AsyncConnection[tuple[Any, ...]]:
    return cast(AsyncConnection[tuple[Any, ...]], connection.connection.driver_connection)


def _find_status(connection: Connection) -> TransactionStatus:
    return TransactionStatus(_find_driver(connection).pgconn.transaction_status)


def _find_cursor(connection: Connection) -> AsyncCursor[tuple[Any, ...]]:
    """Return the connection's one cursor; a new one for each statement costs a fifth of it."""
    known = connection.info.get("cursor")
    if known is None:
        known = connection.info["cursor"] = _find_driver(connection).cursor(binary=True)
    return cast(AsyncCursor[tuple[Any, ...]], known)
