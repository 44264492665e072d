"""The session of a request: `SessionDep` in a route, and the layer that ends it."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database.transactions import Database, commit, release_connection


async def get_database(connection: HTTPConnection) -> Database:
    database: Database = connection.app.state.database
    return database


DatabaseDep = Annotated[Database, Depends(get_database)]
"""For what outlives the request, as background tasks do: `database.transact(work)`."""


async def get_session(connection: HTTPConnection) -> AsyncSession:
    """Return the session of the request, made when it is first asked for.

    A GET reads, without a transaction (RFC 9110, section 9.2.1); all else is one transaction.
    """
    session = find_session(connection.scope)
    if session is None:
        database: Database = connection.app.state.database
        reads = connection.scope.get("method") == "GET"
        session = database.new_session(bind=database.reading if reads else database.engine)
        connection.state.session = session
    return session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_transaction(session: SessionDep, database: DatabaseDep) -> AsyncSession:
    """Return the session in a transaction also where the method is GET.

    It is for what a reader cannot do: a snapshot, savepoints, streaming, `FOR UPDATE`.
    """
    await release_connection(session)
    session.sync_session.bind = database.engine.sync_engine
    return session


TransactionDep = Annotated[AsyncSession, Depends(get_transaction)]


def find_session(scope: Scope) -> AsyncSession | None:
    """Return the session if somebody has asked for it."""
    session: AsyncSession | None = scope.get("state", {}).get("session")
    return session


class SessionLifetime:
    """Commit before an answer begins that is no refusal, and close when the answer has left.

    Streams and background tasks may therefore use the session; what they leave is committed when
    they are done. So it is for every route, whatever its router.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_failed = False

        async def send_committed(message: Message) -> None:
            nonlocal has_failed
            if message["type"] == "http.response.start" and (session := find_session(scope)):
                is_refusal = message["status"] >= HTTPStatus.BAD_REQUEST
                try:
                    await (session.rollback() if is_refusal else commit(session))
                except Exception as error:  # noqa: BLE001  # it is answered, or raised again
                    has_failed = True
                    await session.rollback()
                    await _answer(error, scope, receive, send)
            if not has_failed:
                await send(message)

        try:
            await self._app(scope, receive, send_committed)
            if session := find_session(scope):
                await commit(session)
        finally:
            if session := find_session(scope):
                await asyncio.shield(session.close())


async def _answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the application's handler of this error, or raise it."""
    handlers = scope["app"].exception_handlers
    for kind in type(error).__mro__[:-2]:  # but for Exception itself, whose handler is not here
        if handle := handlers.get(kind):
            response = await handle(Request(scope), error)
            await response(scope, receive, send)
            return
    raise error
