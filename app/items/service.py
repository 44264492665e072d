"""What the application can do with items; another's is not found, like one that is not there."""

import uuid
from typing import Any

from sqlalchemy import Boolean, bindparam, delete, insert, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.errors import NotFound
from app.items.models import Item
from app.items.schemas import ItemCreate, ItemUpdate
from app.pagination import Listing, Page, PageQuery, get_page
from app.users.models import User


class ItemNotFound(NotFound):
    """No item of yours has this id."""


# Built once, since to build a statement takes as long as to run it.
_WHERE = (
    col(Item.id) == bindparam("item_id"),
    or_(col(Item.owner_id) == bindparam("caller_id"), bindparam("sees_all", type_=Boolean)),
)
_FIND = select(Item).where(*_WHERE)
_LISTING = Listing(
    select(Item).where(Item.owner_id == bindparam("owner_id")),
    Item,
    search_in=(Item.title, Item.description),
)
_CREATE = insert(Item).returning(Item)
_DELETE = delete(Item).where(*_WHERE)
# A row that the session has loaded before takes the values that are returned.
_CHANGE = (
    update(Item)
    .where(*_WHERE)
    .returning(Item)
    .execution_options(populate_existing=True, synchronize_session=False)
)


def _visible(user: User, item_id: uuid.UUID) -> dict[str, Any]:
    return {"item_id": item_id, "caller_id": user.id, "sees_all": user.is_superuser}


async def create_item(session: AsyncSession, user: User, data: ItemCreate) -> Item:
    """Add an item that `user` owns."""
    values = data.model_dump() | {"owner_id": user.id}
    item: Item = (await session.exec(_CREATE, params=values)).scalar_one()
    return item


async def get_item(session: AsyncSession, user: User, item_id: uuid.UUID) -> Item:
    """Return the item if `user` may have it, or raise `ItemNotFound`."""
    item = (await session.exec(_FIND, params=_visible(user, item_id))).one_or_none()
    if item is None:
        raise ItemNotFound
    return item


async def list_items(session: AsyncSession, user: User, query: PageQuery) -> Page[Item]:
    """Return a page of the user's own items, newest first, that contain `query.search`."""
    return await get_page(session, _LISTING, query, owner_id=user.id)


async def update_item(
    session: AsyncSession, user: User, item_id: uuid.UUID, data: ItemUpdate
) -> Item:
    """Change the fields that were sent, or raise `ItemNotFound`."""
    changes = data.model_dump(exclude_unset=True)
    if not changes:
        return await get_item(session, user, item_id)
    found = await session.exec(_CHANGE.values(changes), params=_visible(user, item_id))
    item: Item | None = found.scalar_one_or_none()
    if item is None:
        raise ItemNotFound
    return item


async def delete_item(session: AsyncSession, user: User, item_id: uuid.UUID) -> None:
    """Delete the item, or raise `ItemNotFound`."""
    if (await session.exec(_DELETE, params=_visible(user, item_id))).rowcount == 0:
        raise ItemNotFound
