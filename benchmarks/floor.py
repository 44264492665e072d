"""The floor: what the same answers cost without a framework, an ORM or validation.

One ASGI function and psycopg, with the statements, the transactions and the password hashing of
the service: what any Python service on this database would have to pay. It is no model to follow.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from argon2 import PasswordHasher
from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[dict[str, Any]]
Answer = tuple[int, object]

_POOL_SIZE = 10
_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_USER = """u.id, u.email, u.is_active, u.is_superuser, u.full_name, u.email_verified_at,
    u.deletion_due_at, u.created_at, u.updated_at"""
_ITEM = "id, owner_id, title, description, created_at, updated_at"
_AUTHENTICATE = f"""
    SELECT {_USER}, s.id AS session_id,
           s.authenticated_at > now() - interval '15 minutes' AS is_recent,
           s.last_used_at < now() - interval '5 minutes' AS is_use_due
    FROM "user" u JOIN login_session s ON s.user_id = u.id
    WHERE s.token_hash = %s AND s.expires_at > now()
      AND s.last_used_at > now() - interval '7 days' AND u.is_active"""  # noqa: S608  # no input
_LIST_ITEMS = f"""SELECT {_ITEM} FROM item WHERE owner_id = %s
    ORDER BY created_at DESC, id DESC LIMIT %s"""  # noqa: S608
_GET_ITEM = f"SELECT {_ITEM} FROM item WHERE id = %s"  # noqa: S608
_CREATE_ITEM = f"""INSERT INTO item (id, owner_id, title, description)
    VALUES (gen_random_uuid(), %s, %s, %s) RETURNING {_ITEM}"""  # noqa: S608
_UPDATE_ITEM = f"""UPDATE item SET title = %s, updated_at = now() WHERE id = %s
    RETURNING {_ITEM}"""  # noqa: S608
_LIST_USERS = f"""SELECT {_USER} FROM "user" u ORDER BY created_at DESC, id DESC LIMIT %s"""  # noqa: S608
_FOUND = f"""WITH found AS MATERIALIZED (SELECT id, created_at FROM "user" WHERE
        to_tsvector('simple', translate(email || ' ' || coalesce(full_name, ''), '@._+-/<>&',
                                        '         ')) @@ to_tsquery('simple', %s) LIMIT 10000)
    SELECT {_USER} FROM "user" u WHERE id IN (
        SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT %s)
    ORDER BY created_at DESC, id DESC"""  # noqa: S608
_LIMIT = """INSERT INTO rate_limit (key_hash, arrival_at) VALUES (%s, now() + interval '3 seconds')
    ON CONFLICT (key_hash) DO UPDATE
    SET arrival_at = greatest(rate_limit.arrival_at, now()) + interval '3 seconds'
    WHERE rate_limit.arrival_at < now() + interval '150 seconds' RETURNING arrival_at"""
_FIND_PASSWORD = """SELECT id, hashed_password FROM "user" WHERE email = %s"""  # noqa: S105  # SQL
_LOCK_USER = """SELECT id FROM "user" WHERE id = %s AND hashed_password = %s AND is_active
    FOR NO KEY UPDATE"""
_START_SESSION = """INSERT INTO login_session (id, user_id, token_hash, expires_at)
    VALUES (gen_random_uuid(), %s, %s, now() + interval '30 days') RETURNING expires_at"""
_DROP_SURPLUS = """DELETE FROM login_session WHERE id IN (
    SELECT id FROM login_session WHERE user_id = %s AND token_hash != %s
    ORDER BY expires_at > now() AND last_used_at > now() - interval '7 days' DESC,
             last_used_at DESC, id OFFSET 19)"""


class Pool:
    """Connections that are lent one at a time, the one used last first."""

    def __init__(self) -> None:
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()

    async def open(self) -> None:
        for _ in range(_POOL_SIZE):
            self._free.put_nowait(
                await AsyncConnection.connect(
                    os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row
                )
            )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)


pool = Pool()
hasher = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)
threads = ThreadPoolExecutor(2)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request, which is trusted to be right."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    route = f"{scope['method']} {scope['path'].removeprefix('/api/v1/')}"
    collection, _, key = route.partition("/")
    answer = ROUTES.get(route) or ROUTES[f"{collection}/"]
    status, content = await answer(scope, key, await _read(receive))
    body = json.dumps(content, default=_encode, separators=(",", ":")).encode()
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    await receive()
    await pool.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _read(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _encode(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _authenticate(connection: Connection, scope: Any) -> dict[str, Any]:
    sent = next(value for name, value in scope["headers"] if name == b"authorization")
    digest = sha256(sent.removeprefix(b"Bearer ")).digest()
    found = await (await connection.execute(_AUTHENTICATE, (digest,))).fetchone()
    assert found is not None  # noqa: S101
    return found


async def _get_me(scope: Any, _key: str, _body: bytes) -> Answer:
    async with pool.connection() as connection:
        user = await _authenticate(connection, scope)
    del user["session_id"], user["is_recent"], user["is_use_due"]
    return 200, user


async def _list_users(scope: Any, _key: str, _body: bytes) -> Answer:
    limit = _limit(scope)
    async with pool.connection() as connection:
        await _authenticate(connection, scope)
        if words := parse_qs(scope["query_string"]).get(b"search"):
            found = " & ".join(f"{word}:*" for word in re.findall(r"\w+", words[0].decode()))
            listed = connection.execute(_FOUND, (found, limit + 1))
        else:
            listed = connection.execute(_LIST_USERS, (limit + 1,))
        rows = await (await listed).fetchall()
    return 200, {"data": rows[:limit], "next_cursor": str(rows[-1]["id"]) if rows else None}


async def _list_items(scope: Any, _key: str, _body: bytes) -> Answer:
    limit = _limit(scope)
    async with pool.connection() as connection:
        user = await _authenticate(connection, scope)
        cursor = await connection.execute(_LIST_ITEMS, (user["id"], limit + 1))
        rows = await cursor.fetchall()
    return 200, {"data": rows[:limit], "next_cursor": str(rows[-1]["id"])}


async def _get_item(scope: Any, key: str, _body: bytes) -> Answer:
    async with pool.connection() as connection:
        user = await _authenticate(connection, scope)
        return 200, await _find_item(connection, user, key)


async def _create_item(scope: Any, _key: str, body: bytes) -> Answer:
    data = json.loads(body)
    async with pool.connection() as connection, connection.transaction():
        user = await _authenticate(connection, scope)
        values = (user["id"], data["title"], data.get("description"))
        item = await (await connection.execute(_CREATE_ITEM, values)).fetchone()
    return 201, item


async def _update_item(scope: Any, key: str, body: bytes) -> Answer:
    data = json.loads(body)
    async with pool.connection() as connection, connection.transaction():
        item = await _find_item(connection, await _authenticate(connection, scope), key)
        values = (data["title"], item["id"])
        item = await (await connection.execute(_UPDATE_ITEM, values)).fetchone()
    return 200, item


async def _find_item(connection: Connection, user: dict[str, Any], key: str) -> Any:
    item = await (await connection.execute(_GET_ITEM, (UUID(key),))).fetchone()
    assert item is not None  # noqa: S101
    assert item["owner_id"] == user["id"] or user["is_superuser"]  # noqa: S101
    return item


async def _log_in(scope: Any, _key: str, body: bytes) -> Answer:
    form = parse_qs(body.decode())
    address = next(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    async with pool.connection() as connection:
        await connection.execute(_LIMIT, (sha256(address).digest(),))
        cursor = await connection.execute(_FIND_PASSWORD, (form["username"][0],))
        user = await cursor.fetchone()
    assert user is not None  # noqa: S101
    verify: Callable[[str, str], bool] = hasher.verify
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(threads, verify, user["hashed_password"], form["password"][0])
    token = f"ust_{token_urlsafe(32)}"
    digest = sha256(token.encode()).digest()
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(_LOCK_USER, (user["id"], user["hashed_password"]))
        cursor = await connection.execute(_START_SESSION, (user["id"], digest))
        started = await cursor.fetchone()
        await connection.execute(_DROP_SURPLUS, (user["id"], digest))
    assert started is not None  # noqa: S101
    return 200, {"access_token": token, "token_type": "bearer", **started}


def _limit(scope: Any) -> int:
    return int(parse_qs(scope["query_string"])[b"limit"][0])


async def _get_health(_scope: Any, _key: str, _body: bytes) -> Answer:
    return 200, {"status": "ok"}


ROUTES: dict[str, Callable[[Any, str, bytes], Awaitable[Answer]]] = {
    "GET /healthz": _get_health,
    "POST auth/login": _log_in,
    "GET users/me": _get_me,
    "GET users": _list_users,
    "GET items": _list_items,
    "GET items/": _get_item,
    "POST items": _create_item,
    "PATCH items/": _update_item,
}
