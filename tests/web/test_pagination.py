import uuid
from datetime import UTC, datetime
from itertools import chain

import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter, ValidationError
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from app.web.pagination import Cursor, Position
from tests.factories import earlier
from tests.marbles import Marble, make_marble
from tests.problems import read_problem

MARBLES = "/api/v1/marbles"
pytestmark = pytest.mark.usefixtures("_marbles")
POSITION = Position(datetime(2026, 11, 21, 7, 0, 0, 123456, tzinfo=UTC), uuid.UUID(int=4711))


async def read_pages(client: AsyncClient, **query: str | int) -> list[list[str]]:
    """Follow the cursors; return the ids of each page."""
    pages: list[list[str]] = []
    cursor: dict[str, str | int] = {}
    while len(pages) < 10:
        response = await client.get(MARBLES, params=query | cursor)
        assert response.status_code == 200, response.text
        page = response.json()
        pages.append([marble["id"] for marble in page["data"]])
        if page["next_cursor"] is None:
            return pages
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the pages do not end")


async def test_position_survives_its_encoding() -> None:
    assert TypeAdapter(Cursor).validate_python(POSITION.encode()) == POSITION
    assert len(POSITION.encode()) == 32


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "A" * 31, "A" * 33, "A" * 28, " " * 32, "é" * 32, "f" * 32, "\0" * 32, 5, None],
)
async def test_position_refuses_what_is_no_cursor(cursor: object) -> None:
    with pytest.raises(ValidationError, match="Not a cursor of this service"):
        TypeAdapter(Cursor).validate_python(cursor)


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (100, [5])])
async def test_pages_hold_every_row_once_in_order(
    session: AsyncSession, user_client: AsyncClient, user: User, limit: int, sizes: list[int]
) -> None:
    # All but one have the same created_at: that of the test's one transaction.
    marbles = [await make_marble(session, user) for _ in range(5)]
    oldest = update(Marble).where(col(Marble.id) == marbles[0].id)
    await session.exec(oldest.values(created_at=earlier(Marble.created_at, "1 microsecond")))
    await session.commit()
    pages = await read_pages(user_client, limit=limit)
    assert [len(page) for page in pages] == sizes
    newest = sorted((str(marble.id) for marble in marbles[1:]), reverse=True)
    assert [*chain(*pages)] == [*newest, str(marbles[0].id)]


async def test_page_is_not_shifted_by_a_new_row(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    marbles = [await make_marble(session, user) for _ in range(3)]
    await session.exec(update(Marble).values(created_at=earlier(Marble.created_at, "1 day")))
    await session.commit()
    first = (await user_client.get(MARBLES, params={"limit": 2})).json()
    await make_marble(session, user)
    rest = await user_client.get(MARBLES, params={"limit": 2, "cursor": first["next_cursor"]})
    seen = {marble["id"] for marble in [*first["data"], *rest.json()["data"]]}
    assert seen == {str(marble.id) for marble in marbles}


async def test_pages_of_a_search_hold_only_what_is_found(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    found = {str((await make_marble(session, user, title=f"Blue {n}")).id) for n in range(3)}
    await make_marble(session, user, title="Red")
    pages = await read_pages(user_client, limit=2, search="blue")
    assert [len(page) for page in pages] == [2, 1]
    assert set(chain(*pages)) == found


async def test_page_has_fifty_rows_unless_told(
    session: AsyncSession, user_client: AsyncClient, user: User
) -> None:
    session.add_all([Marble(title="Many", owner_id=user.id) for _ in range(51)])
    await session.commit()
    assert [len(page) for page in await read_pages(user_client)] == [50, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=101", "limit"),
        ("limit=9223372036854775808", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("limit=NaN", "limit"),
        ("limit=Infinity", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=null", "limit"),
        ("limit=%00", "limit"),
        ("cursor=canary", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=ffffffffffffffffffffffffffffffff", "cursor"),
        ("search=", "search"),
        ("serach=canary", "serach"),
        ("search=canary%00", "search"),
        ("search=canary%1b", "search"),
        ("search=canary%0a", "search"),
        (f"search={'a' * 256}", "search"),
    ],
)
async def test_page_refuses_an_invalid_query(
    superuser_client: AsyncClient, query: str, field: str
) -> None:
    for path in (MARBLES, "/api/v1/users"):
        answer = await superuser_client.get(f"{path}?{query}")
        problem = read_problem(answer, 422, "unprocessable_content")
        assert [error["loc"] for error in problem["errors"]] == [["query", field]]
        assert "canary" not in answer.text


@pytest.mark.parametrize("query", ["search=%ff", "search=%ed%a0%80", "%ff=1", "search=%c3"])
async def test_page_refuses_a_query_that_is_not_utf8(user_client: AsyncClient, query: str) -> None:
    problem = read_problem(
        await user_client.get(f"{MARBLES}?{query}"), 422, "unprocessable_content"
    )
    assert problem["errors"] == [
        {"loc": ["query"], "msg": "The query is not UTF-8", "type": "unicode"}
    ]


async def test_page_takes_any_text_as_search(user_client: AsyncClient) -> None:
    for search in ("Zoë 👩‍👩‍👧", "' OR 1=1 --", "%", "\\", "a" * 255):
        response = await user_client.get(MARBLES, params={"search": search})
        assert response.status_code == 200, response.text
