"""Pages, newest first, by keyset: a page costs the same however far it lies in the table."""

import base64
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import CTE, false, func, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.database.search import MOST_MATCHES
from app.web.schemas import Line, Output

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = struct.Struct(">q16s")  # microseconds since the epoch, UUID


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


class CursorQuery(BaseModel):
    """Which page; other query parameters than those of the class are refused."""

    model_config = {"extra": "forbid"}

    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before")
    limit: int = Field(default=50, ge=1, le=100)


class PageQuery(CursorQuery):
    """The query parameters of a collection, and no others: a misspelt `search` finds all."""

    search: Line | None = Field(default=None, min_length=1, max_length=255)


class PagePublic(Output, Generic[_T]):
    """What clients get of a `Page`. A subclass for each schema gives it a name that they know."""

    data: list[_T]
    next_cursor: str | None
    """Null on the last page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some rows, and the cursor of the next page if there is one."""

    data: Sequence[_T]
    next_cursor: str | None = None
    is_partial: bool = False
    """Whether a search has stopped at its bound, so that more may match."""


async def get_page(
    session: AsyncSession,
    rows: SelectOfScalar[_T],
    query: CursorQuery,
    *,
    search_in: Sequence[Any] = (),
    found: CTE | None = None,
) -> Page[_T]:
    """Return the page of `rows` that `query` asks for, by `created_at`, then `id`.

    `rows` selects one model; a column of `search_in` contains the `search` of a `PageQuery`, or the
    rows are those that were `found`.
    """
    model = rows.column_descriptions[0]["entity"]
    order = (col(model.created_at), col(model.id))
    if found is not None:
        read = (await session.exec(_join(model, rows, query, found))).all()
        return _turn([row for row, _ in read], query, is_partial=any(full for _, full in read))
    rows = _cut(rows, order, query)
    if isinstance(query, PageQuery) and query.search is not None:
        fields = (col(each).icontains(query.search, autoescape=True) for each in search_in)
        rows = rows.where(or_(false(), *fields))
    return _turn(list(await session.exec(rows)), query)


def _turn(rows: list[_T], query: CursorQuery, *, is_partial: bool = False) -> Page[_T]:
    if len(rows) <= query.limit:
        return Page(rows, is_partial=is_partial)
    last: Any = rows[query.limit - 1]
    return Page(rows[:-1], Position(last.created_at, last.id).encode(), is_partial)


def _join(model: Any, rows: SelectOfScalar[_T], query: CursorQuery, found: CTE) -> Select[_T, bool]:
    """Select the page of those that were found, and of each whether there may be more."""
    ids = _cut(select(found.c.id), (found.c.created_at, found.c.id), query)
    is_full = select(func.count() == MOST_MATCHES).select_from(found).scalar_subquery()
    page = select(model, is_full).where(col(model.id).in_(ids))
    if rows.whereclause is not None:
        page = page.where(rows.whereclause)
    return page.order_by(col(model.created_at).desc(), col(model.id).desc())


def _cut(rows: SelectOfScalar[_T], order: Sequence[Any], query: CursorQuery) -> SelectOfScalar[_T]:
    """Take the query's page of the rows, and one more to tell whether there is another."""
    if query.cursor is not None:
        rows = rows.where(tuple_(*order) < (query.cursor.created_at, query.cursor.id))
    return rows.order_by(*(each.desc() for each in order)).limit(query.limit + 1)
