"""Pages, newest first, by keyset: a page costs the same however far it lies in the table."""

import base64
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import DateTime, Integer, Uuid, bindparam, or_, tuple_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from app.schemas import Line

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = struct.Struct(">q16s")  # microseconds since the epoch, UUID


class Row(Protocol):
    """What a table needs to be paged: its order is `created_at`, then `id`."""

    id: uuid.UUID
    created_at: datetime


_R = TypeVar("_R", bound=Row)


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page. Clients see it as an opaque cursor.

    No NamedTuple: to FastAPI that is a sequence, a parameter that may be given several times.
    """

    created_at: datetime
    id: uuid.UUID

    def encode(self) -> str:
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(_CURSOR.pack(microseconds, self.id.bytes)).decode()

    @classmethod
    def decode(cls, cursor: Any) -> "Position":
        try:
            packed = base64.b64decode(cursor, altchars=b"-_", validate=True)
            microseconds, identifier = _CURSOR.unpack(packed)
            created_at = _EPOCH + timedelta(microseconds=microseconds)
        except (ValueError, TypeError, struct.error, OverflowError):
            raise PydanticCustomError("cursor", "Not a cursor of this service") from None
        return cls(created_at, uuid.UUID(bytes=identifier))


Cursor = Annotated[
    Position,
    BeforeValidator(Position.decode),
    WithJsonSchema({"type": "string", "minLength": 32, "maxLength": 32}),
]


class PageQuery(BaseModel):
    """The query parameters of a collection, and no others: a misspelt `search` finds all."""

    model_config = {"extra": "forbid"}

    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before")
    limit: int = Field(default=50, ge=1, le=100)
    search: Line | None = Field(default=None, min_length=1, max_length=255)


class PagePublic(BaseModel, Generic[_T]):
    data: list[_T]
    next_cursor: str | None
    """Null on the last page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some rows, and the cursor of the next page if there is one."""

    data: Sequence[_T]
    next_cursor: str | None = None


class Listing(Generic[_R]):
    """Rows to page through, in statements that are built once: that takes as long as to run them.

    `rows` may have parameters, which `get_page` gives their values.
    """

    def __init__(
        self, rows: SelectOfScalar[_R], model: type[_R], *, search_in: Sequence[Any]
    ) -> None:
        order = (col(model.created_at), col(model.id))
        last = (
            bindparam("last_created_at", type_=DateTime(timezone=True)),
            bindparam("last_id", type_=Uuid),
        )
        newest_first = rows.order_by(*(column.desc() for column in order))
        self.first = newest_first.limit(bindparam("limit", type_=Integer))
        self.later = self.first.where(tuple_(*order) < tuple_(*last))
        self.search_in = [col(column) for column in search_in]


async def get_page(
    session: AsyncSession, listing: Listing[_R], query: PageQuery, **parameters: Any
) -> Page[_R]:
    """Return the page that `query` asks for; one of `search_in` contains its `search`."""
    statement = listing.first
    parameters["limit"] = query.limit + 1
    if query.cursor is not None:
        statement = listing.later
        parameters |= {"last_created_at": query.cursor.created_at, "last_id": query.cursor.id}
    if query.search is not None:
        contains = (c.icontains(query.search, autoescape=True) for c in listing.search_in)
        statement = statement.where(or_(*contains))
    page = list(await session.exec(statement, params=parameters))
    if len(page) <= query.limit:
        return Page(page)
    page.pop()
    return Page(page, Position(page[-1].created_at, page[-1].id).encode())
