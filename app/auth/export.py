"""What the database has of one user, read off the models: every row with a key to the user.

A table that is added tomorrow is in it. Bytes are not, as they are hashes, keys and what is
encrypted, nor what a model marks as secret.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import Column, LargeBinary, Table, or_, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.deadline import time_limit
from app.users.models import NEVER_SHOWN, User

Rows = AsyncIterator[dict[str, Any]]
FURTHER: Final[dict[str, Callable[[AsyncSession, User], Rows]]] = {}
"""What has no foreign key, by its table; `app/parts.py` adds a feature's to it."""
_AT_ONCE: Final = 200  # rows
_IN_MEMORY: Final = 1024 * 1024  # bytes; more is in a file
_CHUNK: Final = 64 * 1024  # bytes
_LONGEST: Final = 60  # seconds


async def export_user(session: AsyncSession, user: User) -> Iterator[bytes]:
    """Return all of the user as JSON, an array for each table.

    It is in a file, so that no connection is held until a slow client has read it.
    """
    file = SpooledTemporaryFile[bytes](max_size=_IN_MEMORY)
    with time_limit(_LONGEST):
        async for part in _write(session, user):
            file.write(part)
    return _read_file(file)


def _read_file(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        yield from iter(partial(file.read, _CHUNK), b"")


async def _write(session: AsyncSession, user: User) -> AsyncIterator[bytes]:
    for number, (name, rows) in enumerate(_list_parts(session, user)):
        yield (b",\n" if number else b"{") + to_json(name) + b": ["
        separator = b""
        async for row in rows:
            yield separator + to_json(row)
            separator = b",\n"
        yield b"]"
    yield b"}\n"


def _list_parts(session: AsyncSession, user: User) -> Iterator[tuple[str, Rows]]:
    for table in SQLModel.metadata.sorted_tables:
        if keys := find_keys(table):
            yield table.name, _read(session, table, keys, user)
    for name, read in FURTHER.items():
        yield name, read(session, user)


def find_keys(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that tell whose a row is."""
    own = SQLModel.metadata.tables["user"].c.id
    return [each for each in table.columns if each is own or each.references(own)]


def is_shown(column: Column[Any]) -> bool:
    return not (isinstance(column.type, LargeBinary) or column.info.get(NEVER_SHOWN))


async def _read(session: AsyncSession, table: Table, keys: list[Column[Any]], user: User) -> Rows:
    # In no order: for one, a cursor would rather read the whole table by its key.
    mine = select(*filter(is_shown, table.columns)).where(or_(*(key == user.id for key in keys)))
    rows = await session.stream(mine.execution_options(yield_per=_AT_ONCE))
    async for row in rows.mappings():
        yield dict(row)
