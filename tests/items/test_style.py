"""Items are what `make domain` writes, and what they show beyond it is named here."""

from pathlib import Path

from tests.servers import ROOT
from tools.domain.fields import read_definition
from tools.domain.references import find_targets
from tools.domain.rendering import render
from tools.domain.words import read_noun

READING = '"/{item_id}", response_model=ItemPublic, responses=problems(ItemNotFound)'
# What items say, and what a written domain says instead: they have permissions of their own to
# read and to change those of others, and are counted for a page.
BEYOND = {
    Path("app/items/service.py"): (
        ("from typing import Final\n\n", "\n"),
        ("import col, func, select", "import col, select"),
        ("from app.users.permissions import may\n", ""),
        (
            'READ_ALL: Final = "items:read-all"\nWRITE_ALL: Final = "items:write-all"\n\n\n',
            "\n",
        ),
        (
            '''may read it, or raise `ItemNotFound`."""
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
''',
            '''may have it, or raise `ItemNotFound`."""
    item = await session.get(Item, item_id)
    if item is None or not (item.owner_id == user.id or user.is_superuser):
        raise ItemNotFound
    return item
''',
        ),
        (
            "await _require(session, user, WRITE_ALL, await session.get(Item, item_id))",
            "await get_item(session, user, item_id)",
        ),
    ),
    Path("app/items/router.py"): (
        ("its owner, and for who may do so with all.", "the owner's eyes and the superusers'."),
        ('READS = {"x-permission": service.READ_ALL}\n', ""),
        ('WRITES = {"x-permission": service.WRITE_ALL}\n', ""),
        ("(\n    " + READING + ", openapi_extra=READS\n)", "(" + READING + ")"),
        ("(\n    " + READING + ", openapi_extra=WRITES\n)", "(" + READING + ")"),
        (
            """
    "/{item_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(ItemNotFound),
    openapi_extra=WRITES,
""",
            """
    "/{item_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(ItemNotFound)
""",
        ),
    ),
}


def test_make_domain_writes_items_as_they_are() -> None:
    fields = "title:str(255) description:text(255)? owner:user"
    item = read_definition(read_noun("item"), fields, find_targets(ROOT))
    for path, text in render(item).items():
        if path.parts[0] != "app":  # the tests of items have more to say
            continue
        ours = (ROOT / path).read_text()
        for more, instead in BEYOND.get(path, ()):
            assert more in ours, f"items do not say any more: {more}"
            ours = ours.replace(more, instead)
        assert ours == text, path
