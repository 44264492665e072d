"""Pages, newest first, by keyset: a page costs the same however far it lies in the table."""

import base64
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import DateTime, Integer, String, Uuid, bindparam, or_, tuple_
from sqlmodel import col, select

from app.database.session import Session
from app.database.statements import Statement
from app.web.schemas import Line, Output

_T = TypeVar("_T")
_Rows = Statement[tuple[Any, ...]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPE = "/"
_CURSOR = struct.Struct(">q16s")  # microseconds since the epoch, UUID


_R = TypeVar("_R", bound=Output)


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
    """Rows of a model that meet the conditions, `shown` to clients: by `created_at`, then `id`.

    The conditions may have parameters, which `get_page` gives their values.
    """

    def __init__(
        self, model: type[Any], shown: type[_R], *conditions: Any, search_in: Sequence[Any]
    ) -> None:
        if not {"created_at", "id"} <= shown.model_fields.keys():
            raise TypeError("the cursor of a page is made of `created_at` and `id`")
        order = (col(model.created_at), col(model.id))
        is_later = tuple_(*order) < tuple_(
            bindparam("last_created_at", type_=DateTime(timezone=True)),
            bindparam("last_id", type_=Uuid),
        )
        text = bindparam("search", type_=String)
        is_found = or_(*(col(each).icontains(text, escape=_ESCAPE) for each in search_in))
        self._shown = shown
        self._names = [*shown.model_fields]
        rows = (
            select(*(getattr(model, name) for name in self._names))
            .where(*conditions)
            .order_by(*(each.desc() for each in order))
            .limit(bindparam("limit", type_=Integer))
        )
        self._statements = {
            (False, False): _Rows(rows),
            (True, False): _Rows(rows.where(is_later)),
            (False, True): _Rows(rows.where(is_found)),
            (True, True): _Rows(rows.where(is_later, is_found)),
        }

    async def fetch(self, session: Session, parameters: dict[str, Any]) -> list[_R]:
        statement = self._statements["last_id" in parameters, "search" in parameters]
        rows = await session.fetch(statement, **parameters)
        return [self._shown.take(dict(zip(self._names, row, strict=True))) for row in rows]


async def get_page(
    session: Session, listing: Listing[_R], query: PageQuery, **parameters: Any
) -> Page[_R]:
    """Return the page that `query` asks for; one of `search_in` contains its `search`."""
    parameters["limit"] = query.limit + 1
    if query.cursor is not None:
        parameters |= {"last_created_at": query.cursor.created_at, "last_id": query.cursor.id}
    if query.search is not None:
        parameters["search"] = _escape(query.search)
    page = await listing.fetch(session, parameters)
    if len(page) <= query.limit:
        return Page(page)
    page.pop()
    last: Any = page[-1]
    return Page(page, Position(last.created_at, last.id).encode())


def _escape(text: str) -> str:
    """Return what LIKE takes for the text itself."""
    return re.sub("[%_/]", rf"{_ESCAPE}\g<0>", text)
