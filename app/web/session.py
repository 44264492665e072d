"""The session of a request: `SessionDep` in a route, and the layer that ends it."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database.transactions import Database, commit, release_connection
from app.web.handlers import answer
from app.web.languages import SPOKEN
from app.web.negotiation import find_language


async def get_database(connection: HTTPConnection) -> Database:
    """Return the database of the application, in which another may be mounted."""
    database: Database | None = connection.state.sqlmodel_database
    if database is None:
        raise RuntimeError("the application has not started: `with TestClient(app) as client:`")
    return database


DatabaseDep = Annotated[Database, Depends(get_database)]
"""For what outlives the request, as background tasks do: `database.transact(work)`."""


async def get_session(connection: HTTPConnection) -> AsyncSession:
    """Return the session of the request, made when it is first asked for.

    A GET reads, without a transaction (RFC 9110, section 9.2.1); all else is one transaction.
    """
    session = find_session(connection.scope)
    if session is None:
        database = await get_database(connection)
        reads = connection.scope.get("method") == "GET"
        session = database.new_session(bind=database.reading if reads else database.engine)
        if not reads:  # for mail, which only a transaction can put into the outbox
            session.info[SPOKEN] = find_language(connection)
        connection.state.sqlmodel_session = session
        connection.state.sqlmodel_sessions.append(session)
    return session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_transaction(session: SessionDep, database: DatabaseDep) -> AsyncSession:
    """Return the session in a transaction also where the method is GET.

    It is for what a reader cannot do: a snapshot, savepoints, streaming, `FOR UPDATE`.
    """
    if session.sync_session.bind is database.reading.sync_engine:
        await release_connection(session)
        session.sync_session.bind = database.engine.sync_engine
    return session


TransactionDep = Annotated[AsyncSession, Depends(get_transaction)]


def find_session(scope: Scope) -> AsyncSession | None:
    """Return the session if somebody has asked for it."""
    session: AsyncSession | None = scope["state"].get("sqlmodel_session")
    return session


def forget_session(scope: Scope) -> None:
    """Have the next one who asks get another session."""
    del scope["state"]["sqlmodel_session"]


def is_generator(scope: Scope) -> bool:
    """Tell whether the endpoint yields its answer: it may be at work while that begins."""
    endpoint = scope.get("endpoint")
    return isasyncgenfunction(endpoint) or isgeneratorfunction(endpoint)


class _AnsweredOtherwise(Exception):
    """The commit has failed, so another answer has left, and this one goes no further."""


class SessionLifetime:
    """Commit before an answer begins that is no refusal, and close when the answer has left.

    Streams and background tasks may therefore use the session; what they leave is committed when
    they are done. So it is for every route, whatever its router.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["sqlmodel_database"] = getattr(scope["app"].state, "database", None)
        sessions: list[AsyncSession] = []
        state["sqlmodel_sessions"] = sessions
        is_whole = scope["type"] == "websocket"

        async def send_committed(message: Message) -> None:
            nonlocal is_whole
            if message["type"] == "http.response.start" and (session := find_session(scope)):
                await _end_transaction(session, message["status"], scope, receive, send)
            await send(message)
            is_whole |= message["type"] == "http.response.body" and not message.get("more_body")

        try:
            with suppress(_AnsweredOtherwise):
                await self._app(scope, receive, send_committed)
            # Not where the client has left amid a stream, which is then half done.
            if is_whole and (session := find_session(scope)):
                await commit(session)
        finally:
            for session in sessions:
                await asyncio.shield(session.close())


async def _end_transaction(
    session: AsyncSession, status: int, scope: Scope, receive: Receive, send: Send
) -> None:
    """Commit, or undo what was refused; raise `_AnsweredOtherwise` if the commit fails."""
    if is_generator(scope):
        return
    if status >= HTTPStatus.BAD_REQUEST or "problem" in scope:
        await session.rollback()
        return
    try:
        await commit(session)
    except Exception as error:
        await session.rollback()
        response = await answer(error, scope, receive)
        await response(scope, receive, send)
        raise _AnsweredOtherwise from error
