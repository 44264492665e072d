"""Connections to the database that are kept open, and lent to one transaction at a time."""

import asyncio
from time import monotonic
from typing import Any, Final, cast

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

_PATIENCE: Final = 3  # seconds
_LIFETIME: Final = 1800  # seconds: some networks forget connections in the end


class PooledConnection:
    """A connection in AUTOCOMMIT: psycopg's, and SQLAlchemy's for whoever wants that."""

    def __init__(self, engine: AsyncEngine, proxied: PoolProxiedConnection) -> None:
        self._engine = engine
        self._proxied = proxied
        self.driver = cast(AsyncConnection[tuple[Any, ...]], proxied.driver_connection)
        # One for all statements: to make one for each takes a fifth of the time to send it.
        self.cursor = self.driver.cursor()
        self._opened_at = monotonic()
        self._at_rest = self.driver.pgconn.transaction_status

    @classmethod
    async def open(cls, engine: AsyncEngine) -> "PooledConnection":
        connection = await greenlet_spawn(engine.sync_engine.connect)
        return cls(engine, connection.connection)

    async def close(self) -> None:
        await greenlet_spawn(self._proxied.close)

    def for_sqlalchemy(self) -> Connection:
        return Connection(self._engine.sync_engine, self._proxied)

    @property
    def is_lost(self) -> bool:
        """Whether SQLAlchemy has found out that it is of no more use, or psycopg has."""
        return self.driver.closed or not self._proxied.is_valid

    @property
    def is_at_rest(self) -> bool:
        """Whether it is in no transaction, and no statement was broken off."""
        return self.driver.pgconn.transaction_status == self._at_rest

    @property
    def has_failed(self) -> bool:
        """Whether a statement has failed in the transaction, so that it can only be undone."""
        return self.driver.pgconn.transaction_status == TransactionStatus.INERROR

    @property
    def is_outdated(self) -> bool:
        return monotonic() - self._opened_at > _LIFETIME


class Pool:
    """At most `size` connections, of which the one that was used last is lent first.

    SQLAlchemy opens them and finds out which are lost. Its own pool needs a greenlet for each
    loan, and that costs almost as much as the statement which is then sent.
    """

    def __init__(self, engine: AsyncEngine, size: int) -> None:
        """`engine` has no pool of its own."""
        self._engine = engine
        self._places = asyncio.Semaphore(size)
        self._idle: list[PooledConnection] = []
        self.in_use = 0

    async def borrow(self) -> PooledConnection:
        """Return a connection, opened if none is idle, or raise SQLAlchemy's errors.

        That is its `TimeoutError` if all have been in use for too long.
        """
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()  # at once
        self.in_use += 1
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_outdated:
                    return connection
                await connection.close()
            return await PooledConnection.open(self._engine)
        except BaseException:
            self._free_place()
            raise

    async def give_back(self, connection: PooledConnection) -> None:
        """Keep a connection that can be used again; with one that was lost, all idle ones go."""
        try:
            if connection.is_lost:
                await self.close()
                await connection.close()
            elif connection.is_at_rest:
                self._idle.append(connection)
            else:
                await connection.close()
        finally:
            self._free_place()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            await self._idle.pop().close()

    async def _wait_for_place(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise PoolTimeoutError("all connections were in use") from None

    def _free_place(self) -> None:
        self.in_use -= 1
        self._places.release()
