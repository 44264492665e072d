"""What parallel requests do to items, and what becomes of very many."""

import asyncio

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.items.models import Item
from tests.factories import make_superuser, make_user, sign_in
from tests.items.factories import make_item
from tests.problems import read_problem
from tests.races import is_citus, race
from tests.statements import record_statements

API = "/api/v1"


async def test_item_of_a_user_who_leaves_is_not_created(
    live_app: FastAPI, live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    deleted, created = await race(
        *(live_app, live_session),
        live_client.delete(f"{API}/users/me"),
        live_client.post(f"{API}/items", json={"title": "Gone"}),
    )
    assert deleted.status_code == 204
    if created.status_code != 201 or not await is_citus(live_session):
        read_problem(created, 401, "invalid_token")
    # The lock of a user is at one server there, and the item's is another: it was first.
    assert (await live_session.exec(select(func.count()).select_from(Item))).one() == 0


async def test_parallel_deletions_of_an_item_find_it_once(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    path = f"{API}/items/{(await make_item(live_session, user)).id}"
    await sign_in(live_client, live_session, user)
    answers = await asyncio.gather(*(live_client.delete(path) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 9


async def test_deleting_a_user_loads_none_of_its_items(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    await sign_in(live_client, live_session, await make_superuser(live_session))
    many = text(
        "INSERT INTO item (id, title, owner_id)"
        " SELECT gen_random_uuid(), 'Item', :owner FROM generate_series(1, 20000)"
    )
    await (await live_session.connection()).execute(many, {"owner": user.id})
    await live_session.commit()
    with record_statements() as statements:
        response = await live_client.delete(f"{API}/users/{user.id}")
    assert response.status_code == 204, response.text  # within the 5 seconds of a statement
    assert statements
    assert not any("item" in each.sql for each in statements)
    assert (await live_session.exec(select(func.count()).select_from(Item))).one() == 0


async def test_item_that_is_sent_several_times_at_once_is_added_once(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await sign_in(live_client, live_session, await make_user(live_session))
    body = {"title": "New", "id": "7e1f2a39-41f1-4c0c-8b62-5d0d0f3c0f4e"}
    sent = [live_client.post(f"{API}/items", json=body) for _ in range(8)]
    answers = await asyncio.gather(*sent)
    assert {each.status_code for each in answers} == {201}
    assert len({each.text for each in answers}) == 1
