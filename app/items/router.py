"""HTTP routes for items, each for its owner, and for who may do so with all."""

import uuid
from typing import Annotated

from fastapi import Depends, Query, status

from app.auth.dependencies import CurrentUser
from app.items import service
from app.items.models import Item
from app.items.schemas import ItemCreate, ItemPage, ItemPublic, ItemUpdate
from app.items.service import ItemIdTaken, ItemNotFound
from app.web.pagination import Page, PageQuery
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep
from app.web.strict import given_once

router = Router(prefix="/items", tags=["items"])
READS = {"x-permission": service.READ_ALL}
WRITES = {"x-permission": service.WRITE_ALL}


@router.get("", response_model=ItemPage, dependencies=[Depends(given_once)])
async def list_items(
    session: SessionDep, user: CurrentUser, query: Annotated[PageQuery, Query()]
) -> Page[Item]:
    """List the caller's items, newest first; `search` looks in titles and descriptions."""
    return await service.list_items(session, user, query)


@router.post(
    "",
    response_model=ItemPublic,
    status_code=status.HTTP_201_CREATED,
    responses=problems(ItemIdTaken),
)
async def create_item(session: SessionDep, user: CurrentUser, data: ItemCreate) -> Item:
    """Add an item that the caller owns.

    Who sends an `id`, and is not told what came of it, sends the same again: it is added once.
    """
    return await service.create_item(session, user, data)


@router.get(
    "/{item_id}", response_model=ItemPublic, responses=problems(ItemNotFound), openapi_extra=READS
)
async def get_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> Item:
    """Return an item."""
    return await service.get_item(session, user, item_id)


@router.patch(
    "/{item_id}", response_model=ItemPublic, responses=problems(ItemNotFound), openapi_extra=WRITES
)
async def update_item(
    session: SessionDep, user: CurrentUser, item_id: uuid.UUID, data: ItemUpdate
) -> Item:
    """Change an item."""
    return await service.update_item(session, user, item_id, data)


@router.delete(
    "/{item_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(ItemNotFound),
    openapi_extra=WRITES,
)
async def delete_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> None:
    """Delete an item."""
    await service.delete_item(session, user, item_id)
