"""What the application can do with items; another's is not found, like one that is not there."""

import uuid
from typing import Final

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.errors import violates
from app.items.models import Item
from app.items.schemas import ItemCreate, ItemUpdate
from app.users.models import User
from app.users.permissions import may
from app.web.errors import Conflict, NotFound
from app.web.pagination import Page, PageQuery, get_page

READ_ALL: Final = "items:read-all"
WRITE_ALL: Final = "items:write-all"


class ItemNotFound(NotFound):
    """No item of yours has this id."""


class ItemIdTaken(Conflict):
    """The id is another item's, or the item's own, which is not as you send it."""


async def create_item(session: AsyncSession, user: User, data: ItemCreate) -> Item:
    """Add an item that `user` owns, or return the one that was sent before; see `ItemIdTaken`."""
    item = Item.model_validate(data, update={"owner_id": user.id})
    if "id" in data.model_fields_set and (added := await session.get(Item, data.id)):
        return _require_same(added, item)
    session.add(item)
    try:
        await session.flush()
    except IntegrityError as error:
        # Who has left meanwhile, or has sent it twice at once, is told when it runs again.
        if violates(error, "fk_item_owner_id") or violates(error, "pk_item"):
            raise StaleDataError from error
        raise
    return item


def _require_same(added: Item, sent: Item) -> Item:
    """Tell strangers no more about an item than its owner: that the id is taken."""
    given = {"owner_id", *ItemCreate.model_fields}
    if added.model_dump(include=given) != sent.model_dump(include=given):
        raise ItemIdTaken
    return added


async def get_item(session: AsyncSession, user: User, item_id: uuid.UUID) -> Item:
    """Return the item if `user` may read it, or raise `ItemNotFound`."""
    return await _require(session, user, READ_ALL, await session.get(Item, item_id))


async def _require(session: AsyncSession, user: User, permission: str, item: Item | None) -> Item:
    """Return the item if it is the user's, or with this permission; or raise `ItemNotFound`."""
    if item and item.owner_id == user.id:
        return item
    # Asked of an unknown item too, whose answer would else be a faster one.
    if not await may(session, user, permission) or item is None:
        raise ItemNotFound
    return item


async def count_items(session: AsyncSession, owner_id: uuid.UUID) -> int:
    """Return how many items a user owns."""
    mine = select(func.count()).where(Item.owner_id == owner_id)
    return (await session.exec(mine)).one()


async def list_items(session: AsyncSession, user: User, query: PageQuery) -> Page[Item]:
    """Return a page of the user's own items, newest first, that contain `query.search`."""
    mine = select(Item).where(col(Item.owner_id) == user.id)
    return await get_page(session, mine, query, search_in=(Item.title, Item.description))


async def update_item(
    session: AsyncSession, user: User, item_id: uuid.UUID, data: ItemUpdate
) -> Item:
    """Change the fields that were sent, or raise `ItemNotFound`."""
    item = await _require(session, user, WRITE_ALL, await session.get(Item, item_id))
    item.sqlmodel_update(data.model_dump(exclude_unset=True))
    await session.flush()
    return item


async def delete_item(session: AsyncSession, user: User, item_id: uuid.UUID) -> None:
    """Delete the item, or raise `ItemNotFound`, as the second of two who delete it does."""
    item = await _require(session, user, WRITE_ALL, await session.get(Item, item_id))
    mine = delete(Item).where(col(Item.id) == item.id, col(Item.owner_id) == item.owner_id)
    if (await session.exec(mine)).rowcount == 0:
        raise ItemNotFound
