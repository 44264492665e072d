"""What the application can do with items; another's is not found, like one that is not there."""

import uuid
from functools import cache
from typing import Any

from sqlalchemy import Boolean, bindparam, delete, func, insert, or_, update
from sqlmodel import col, select

from app.database.session import Session
from app.database.statements import Statement
from app.items.models import Item
from app.items.schemas import ItemCreate, ItemPublic, ItemUpdate
from app.users.models import User
from app.web.errors import NotFound
from app.web.pagination import Listing, Page, PageQuery, get_page


class ItemNotFound(NotFound):
    """No item of yours has this id."""


_WHERE = (
    col(Item.id) == bindparam("item_id"),
    or_(col(Item.owner_id) == bindparam("caller_id"), bindparam("sees_all", type_=Boolean)),
)
_FIND = Statement[Item](select(Item).where(*_WHERE), Item)
_LISTING = Listing(
    Item,
    ItemPublic,
    col(Item.owner_id) == bindparam("owner_id"),
    search_in=(Item.title, Item.description),
)
_CREATE = Statement[Item](
    insert(Item)
    .values({name: bindparam(name) for name in (*ItemCreate.model_fields, "owner_id")})
    .values(id=func.gen_random_uuid())
    .returning(Item),
    Item,
)
_DELETE = Statement[uuid.UUID](delete(Item).where(*_WHERE).returning(col(Item.id)))


@cache
def _change(names: frozenset[str]) -> Statement[Item]:
    """Build the statement that changes these columns."""
    changed = update(Item).values({name: bindparam(name) for name in names})
    return Statement[Item](changed.where(*_WHERE).returning(Item), Item)


def _visible(user: User, item_id: uuid.UUID) -> dict[str, Any]:
    return {"item_id": item_id, "caller_id": user.id, "sees_all": user.is_superuser}


async def create_item(session: Session, user: User, data: ItemCreate) -> Item:
    """Add an item that `user` owns."""
    return await session.fetch_one(_CREATE, **data.model_dump(), owner_id=user.id)


async def get_item(session: Session, user: User, item_id: uuid.UUID) -> Item:
    """Return the item if `user` may have it, or raise `ItemNotFound`."""
    item = await session.find_one(_FIND, **_visible(user, item_id))
    if item is None:
        raise ItemNotFound
    return item


async def list_items(session: Session, user: User, query: PageQuery) -> Page[ItemPublic]:
    """Return a page of the user's own items, newest first, that contain `query.search`."""
    return await get_page(session, _LISTING, query, owner_id=user.id)


async def update_item(session: Session, user: User, item_id: uuid.UUID, data: ItemUpdate) -> Item:
    """Change the fields that were sent, or raise `ItemNotFound`."""
    changes = data.model_dump(exclude_unset=True)
    if not changes:
        return await get_item(session, user, item_id)
    statement = _change(frozenset(changes))
    item = await session.find_one(statement, **changes, **_visible(user, item_id))
    if item is None:
        raise ItemNotFound
    return item


async def delete_item(session: Session, user: User, item_id: uuid.UUID) -> None:
    """Delete the item, or raise `ItemNotFound`."""
    if await session.find_one(_DELETE, **_visible(user, item_id)) is None:
        raise ItemNotFound
