"""Valid items for tests: say only what the test is about."""

from itertools import count
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.items.models import Item
from app.items.schemas import ItemCreate
from app.items.service import create_item
from app.users.models import User

_numbers = count(1)


async def make_item(session: AsyncSession, owner: User, **attributes: Any) -> Item:
    data = {"title": f"Item {next(_numbers)}"} | attributes
    item = await create_item(session, owner, ItemCreate(**data))
    await session.commit()
    return item
