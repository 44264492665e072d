from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from sqlmodel import func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.items.models import Item
from app.users.models import User
from tests.factories import earlier, make_user
from tests.items.factories import make_item
from tests.problems import read_problem

ITEMS = "/api/v1/items"


def as_sent(item: Item) -> dict[str, Any]:
    return {
        "id": str(item.id),
        "owner_id": str(item.owner_id),
        "title": item.title,
        "description": item.description,
        "created_at": item.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": item.updated_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("description", ["Two\nlines\tof it", None, ""])
async def test_create_item_adds_one_of_the_caller(
    session: AsyncSession, user_client: AsyncClient, user: User, description: str | None
) -> None:
    body = {"title": "t" * 255, "description": description}
    response = await user_client.post(ITEMS, json=body)
    assert response.status_code == 201, response.text
    item = (await session.exec(select(Item))).one()
    assert response.json() == as_sent(item)
    assert item.owner_id == user.id
    assert {"title": item.title, "description": item.description} == body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": None},
        {"title": ""},
        {"title": "t" * 256},
        {"title": "two\nlines"},
        {"title": 2**64},
        {"title": True},
        {"title": ["a"]},
        {"title": "a", "description": "d" * 256},
        {"title": "a", "description": "\0"},
        {"title": "a", "owner_id": str(UUID(int=0))},
        {"title": "a", "id": "1"},
        {"title": "a", "id": None},
        {"title": "a", "created_at": "2026-01-01T00:00:00Z"},
        [],
        None,
        "title",
    ],
)
async def test_create_item_refuses_an_invalid_one(
    session: AsyncSession, user_client: AsyncClient, body: object
) -> None:
    read_problem(await user_client.post(ITEMS, json=body), 422, "unprocessable_content")
    assert (await session.exec(select(func.count()).select_from(Item))).one() == 0


async def test_create_item_that_is_sent_again_is_added_once(
    session: AsyncSession, user_client: AsyncClient
) -> None:
    body = {"title": "New", "description": "Words", "id": str(uuid4())}
    first, second = [await user_client.post(ITEMS, json=body) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert (await session.exec(select(Item))).one().id == UUID(body["id"])


async def test_create_item_tells_nothing_of_strangers_ids(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User
) -> None:
    mine = await make_item(session, superuser, title="New")
    theirs = await make_item(session, await make_user(session), title="New")
    answers = []
    for item, title in ((mine, "Other"), (theirs, "New")):
        body = {"title": title, "id": str(item.id)}
        answer = await superuser_client.post(ITEMS, json=body)
        answers.append(read_problem(answer, 409, "item_id_taken") | {"request_id": ""})
    assert answers[0] == answers[1]
    assert (await session.exec(select(func.count()).select_from(Item))).one() == 2


async def test_list_items_returns_the_callers_own_newest_first(
    session: AsyncSession, superuser_client: AsyncClient, superuser: User
) -> None:
    await make_item(session, await make_user(session))
    older = await make_item(session, superuser)
    await session.exec(update(Item).values(created_at=earlier(Item.created_at, "1 day")))
    await session.commit()
    newer = await make_item(session, superuser)
    await session.refresh(older)
    response = await superuser_client.get(ITEMS)
    assert response.status_code == 200, response.text
    assert response.json() == {"data": [as_sent(newer), as_sent(older)], "next_cursor": None}


@pytest.mark.parametrize("search", ["BLUE", "sky%", "\\", "_"])
async def test_list_items_searches_titles_and_descriptions(
    session: AsyncSession, user_client: AsyncClient, user: User, search: str
) -> None:
    found = await make_item(session, user, title="A blue sky%", description="C:\\a_file")
    await make_item(session, user, title="A skyline")
    await make_item(session, await make_user(session), title="Another's blue sky% \\ _")
    response = await user_client.get(ITEMS, params={"search": search})
    assert response.json()["data"] == [as_sent(found)]


async def test_get_item_returns_ones_own(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    item = await make_item(session, user)
    response = await user_client.get(f"{ITEMS}/{item.id}")
    assert response.status_code == 200, response.text
    assert response.json() == as_sent(item)


async def test_get_item_returns_one_written_under_other_rules(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    item = await make_item(session, user)
    await session.exec(update(Item).values(title=""))
    await session.commit()
    response = await user_client.get(f"{ITEMS}/{item.id}")
    assert response.status_code == 200, response.text
    assert response.json()["title"] == ""


@pytest.mark.parametrize(
    "change",
    [{}, {"title": "New"}, {"description": None}, {"title": "New", "description": "Others"}],
)
async def test_update_item_changes_only_what_is_sent(
    session: AsyncSession, user_client: AsyncClient, user: User, change: dict[str, str | None]
) -> None:
    item = await make_item(session, user, title="Old", description="Words")
    response = await user_client.patch(f"{ITEMS}/{item.id}", json=change)
    assert response.status_code == 200, response.text
    await session.refresh(item)
    assert response.json() == as_sent(item)
    expected = {"title": "Old", "description": "Words"} | change
    assert {"title": item.title, "description": item.description} == expected


@pytest.mark.parametrize(
    "change",
    [{"title": None}, {"title": ""}, {"owner_id": str(UUID(int=0))}, {"description": "\x1b"}],
)
async def test_update_item_refuses_an_invalid_change(
    session: AsyncSession, user_client: AsyncClient, user: User, change: object
) -> None:
    item = await make_item(session, user)
    before = as_sent(item)
    answer = await user_client.patch(f"{ITEMS}/{item.id}", json=change)
    read_problem(answer, 422, "unprocessable_content")
    await session.refresh(item)
    assert as_sent(item) == before


async def test_delete_item_deletes_only_that_one(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    deleted, kept = await make_item(session, user), await make_item(session, user)
    response = await user_client.delete(f"{ITEMS}/{deleted.id}")
    assert response.status_code == 204, response.text
    assert list(await session.exec(select(Item.id))) == [kept.id]
    answer = await user_client.delete(f"{ITEMS}/{deleted.id}")
    read_problem(answer, 404, "item_not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_routes_of_an_item_refuse_an_unknown_one(
    superuser_client: AsyncClient, method: str
) -> None:
    content = "{}" if method == "PATCH" else None
    headers = {"Content-Type": "application/json"}
    path = f"{ITEMS}/{uuid4()}"
    answer = await superuser_client.request(method, path, content=content, headers=headers)
    read_problem(answer, 404, "item_not_found")


async def test_routes_of_an_item_serve_superusers(
    session: AsyncSession, superuser_client: AsyncClient, user: User
) -> None:
    path = f"{ITEMS}/{(await make_item(session, user)).id}"
    assert (await superuser_client.get(path)).status_code == 200
    response = await superuser_client.patch(path, json={"title": "Moderated"})
    assert (response.json()["title"], response.json()["owner_id"]) == ("Moderated", str(user.id))
    assert (await superuser_client.delete(path)).status_code == 204
