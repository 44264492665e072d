"""A request's session: SQLModel's own, and psycopg alone for statements that are built once."""

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.util import await_only
from sqlmodel import Session as ORMSession
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.pool import Pool
from app.database.statements import Statement
from app.database.transaction import Transaction

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
        raise RuntimeError("`Database.transact` begins and commits")

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
    transaction: Transaction

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        return await_only(self.transaction.connect())
