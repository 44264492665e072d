"""The shorter way and FastAPI's: the same answers, to good requests and bad ones."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, cast
from uuid import uuid4

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    Query,
    Request,
    Response,
    routing,
)
from fastapi.routing import APIRoute
from httpx2 import AsyncClient
from pydantic import BaseModel

from app.auth.dependencies import get_current_user
from app.database.session import Session
from app.items.models import Item
from app.users.models import User
from app.web import endpoint
from app.web.router import ServiceRoute, add_routes
from tests.factories import make_item
from tests.problems import read_problem

ITEM = "/api/v1/items/{item_id}"
JSON = {"Content-Type": "application/json"}
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/users/me", {}),
    ("GET", "/api/v1/users/me", {"headers": {"Authorization": "Bearer nobody"}}),
    ("PATCH", "/api/v1/users/me", {"json": {"full_name": "Ada"}}),
    ("PATCH", "/api/v1/users/me", {"json": {"full_name": 1, "is_superuser": True}}),
    ("PATCH", "/api/v1/users/me", {}),
    ("PATCH", "/api/v1/users/me", {"json": None}),
    ("PATCH", "/api/v1/users/me", {"json": []}),
    ("PATCH", "/api/v1/users/me", {"content": b"{", "headers": JSON}),
    ("PATCH", "/api/v1/users/me", {"content": b"{", "headers": {"Authorization": "Bearer no"}}),
    ("GET", "/api/v1/items?limit=1&search=Item", {}),
    ("GET", "/api/v1/items?limit=0&cursor=x&more=1", {}),
    ("GET", "/api/v1/items?limit=0", {"headers": {"Authorization": ""}}),
    ("GET", "/api/v1/items?search=%ff", {}),
    ("GET", ITEM, {}),
    ("GET", "/api/v1/items/none", {}),
    ("GET", f"/api/v1/items/{uuid4()}", {}),
    ("PATCH", ITEM, {"json": {"title": "New", "description": None}}),
    ("PATCH", "/api/v1/items/none", {"json": {"title": ""}}),
    ("PATCH", "/api/v1/items/none", {"json": {"title": ""}, "headers": {"Authorization": ""}}),
    ("GET", "/api/v1/users", {}),
    ("POST", "/api/v1/users", {"json": {}}),
    ("GET", "/healthz", {}),
    ("GET", "/readyz?x=1", {}),
]


@pytest.fixture
async def item(session: Session, user: User) -> Item:
    return await make_item(session, user)


@pytest.mark.parametrize("request_", REQUESTS)
async def test_both_ways_lead_to_the_same_answer(
    app: FastAPI,
    user_client: AsyncClient,
    item: Item,
    monkeypatch: pytest.MonkeyPatch,
    request_: tuple[str, str, dict[str, Any]],
) -> None:
    method, path, options = request_
    fastapis: list[object] = []

    wrap = vars(routing)["wrap_app_handling_exceptions"]  # which only FastAPI's way needs

    def note_and_wrap(*arguments: object) -> object:
        fastapis.append(arguments)
        return wrap(*arguments)

    monkeypatch.setattr(routing, "wrap_app_handling_exceptions", note_and_wrap)
    answers = []
    for overrides in ({}, {len: len}):
        app.dependency_overrides = overrides  # which nothing depends on
        answer = await user_client.request(method, path.format(item_id=item.id), **options)
        assert bool(fastapis) == bool(overrides)
        body = answer.json() | {"request_id": None, "updated_at": None}
        headers = {**answer.headers} | {"x-request-id": None, "content-length": None}
        answers.append((answer.status_code, body, headers))
    assert answers[0] == answers[1]


async def test_included_routes_have_the_dependencies_of_their_inclusion(
    app: FastAPI, client: AsyncClient
) -> None:
    router = APIRouter(route_class=ServiceRoute, tags=["test"])

    @router.get("/work")
    async def work() -> str:
        return "done"

    app.include_router(router, dependencies=[Depends(get_current_user)])
    read_problem(await client.get("/work"), 401, "not_authenticated")


async def test_dependencies_are_called_once_and_in_order(app: FastAPI, client: AsyncClient) -> None:
    called = []

    async def first() -> str:
        called.append("first")
        return "1"

    async def second(one: Annotated[str, Depends(first)], more: str = "") -> str:
        called.append("second")
        return f"{one}2{more}"

    router = APIRouter(route_class=ServiceRoute, tags=["test"], dependencies=[Depends(second)])

    @router.get("/work")
    async def work(
        two: Annotated[str, Depends(second)], one: Annotated[str, Depends(first)], last: str
    ) -> str:
        called.append("work")
        return one + two + last

    add_routes(app, router)
    assert (await client.get("/work?last=3&more=x")).json() == "112x3"
    assert called == ["first", "second", "work"]
    called.clear()
    assert (await client.get("/work")).status_code == 422
    assert called == ["first", "second"]


class Sent(BaseModel):
    text: str = "none"
    more: str | None = None


async def give() -> AsyncIterator[str]:
    yield "given"


def call() -> str:
    return "called"


async def test_unusual_routes_go_the_way_of_fastapi(  # noqa: C901  # one function for each kind
    app: FastAPI, client: AsyncClient
) -> None:
    router = APIRouter(route_class=ServiceRoute, tags=["test"])
    done: list[str] = []

    @router.get("/yields")
    async def yields(given: Annotated[str, Depends(give)]) -> str:
        return given

    @router.get("/threads")
    async def threads(called: Annotated[str, Depends(call)]) -> str:
        return called

    @router.get("/synchronous")
    def synchronous() -> str:
        return "called"

    @router.get("/heads")
    async def heads(x_name: Annotated[str, Header()], name: Annotated[str, Cookie()]) -> str:
        return x_name + name

    @router.get("/sets")
    async def sets(response: Response, tasks: BackgroundTasks) -> str:
        response.headers["X-Set"] = "yes"
        tasks.add_task(done.append, "done")
        return "set"

    @router.get("/leaves-out", response_model_exclude_none=True)
    async def leaves_out() -> Sent:
        return Sent()

    counted: list[int] = []

    async def count() -> None:
        counted.append(1)

    @router.get("/counts")
    async def counts(
        _: Annotated[None, Depends(count)], __: Annotated[None, Depends(count, use_cache=False)]
    ) -> int:
        return len(counted)

    @router.put("/both")
    async def both(sent: Sent, other: Sent) -> Sent:
        return Sent(text=sent.text, more=other.text)

    @router.get("/again", dependencies=[Depends(give, use_cache=False)])
    async def again(query: Annotated[Sent, Query()]) -> Sent:
        return query

    add_routes(app, router)
    headers = {"X-Name": "head", "Cookie": "name=crumb"}
    routes = cast(list[APIRoute], router.routes)
    answers = {route.path: await client.get(route.path, headers=headers) for route in routes}
    bodies = {"sent": {"text": "a"}, "other": {"text": "b"}}
    answers["/both"] = await client.put("/both", json=bodies)
    assert {path: answer.json() for path, answer in answers.items()} == {
        "/yields": "given",
        "/threads": "called",
        "/synchronous": "called",
        "/heads": "headcrumb",
        "/sets": "set",
        "/leaves-out": {"text": "none"},
        "/counts": 2,
        "/both": {"text": "a", "more": "b"},
        "/again": {"text": "none", "more": None},
    }
    assert answers["/sets"].headers["x-set"] == "yes"
    assert done == ["done"]


async def test_route_may_take_less_than_others(app: FastAPI, client: AsyncClient) -> None:
    router = APIRouter(route_class=ServiceRoute, tags=["test"])

    @router.put("/work", max_body_size=12)
    async def work(sent: Sent) -> Sent:
        return sent

    add_routes(app, router)
    assert (await client.put("/work", json={"text": "a"})).status_code == 200
    assert (await client.put("/work", json={"text": "longer"})).status_code == 413


async def test_handler_of_a_subclass_is_called(app: FastAPI, client: AsyncClient) -> None:
    class Teapot(ServiceRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def refuse(_: Request) -> Response:
                return Response(status_code=418)

            return refuse

    router = APIRouter(route_class=Teapot, tags=["test"])

    @router.get("/work")
    async def work() -> str:
        return "done"

    add_routes(app, router)
    assert (await client.get("/work")).status_code == 418


async def test_response_that_a_route_returns_is_the_answer(
    app: FastAPI, client: AsyncClient
) -> None:
    router = APIRouter(route_class=ServiceRoute, tags=["test"])

    @router.get("/work", response_model=Sent)
    async def work() -> Response:
        return Response("as it is", status_code=202)

    add_routes(app, router)
    answer = await client.get("/work")
    assert (answer.status_code, answer.text) == (202, "as it is")


async def test_route_that_returns_what_its_model_is_not_is_a_fault(
    app: FastAPI, client: AsyncClient
) -> None:
    router = APIRouter(route_class=ServiceRoute, tags=["test"])

    @router.get("/work", response_model=Sent)
    async def work() -> dict[str, int]:
        return {"text": 1}

    add_routes(app, router)
    assert (await client.get("/work")).status_code == 500


async def test_routes_with_benchmarks_are_of_the_usual_kind(app: FastAPI) -> None:
    taken = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, APIRoute) and endpoint.shorten(route)
        for method in route.methods or ()
    }
    assert {
        "GET /api/v1/users/me",
        "GET /api/v1/items",
        "POST /api/v1/items",
        "GET /api/v1/items/{item_id}",
        "PATCH /api/v1/items/{item_id}",
        "GET /api/v1/users",
    } <= taken
    assert "DELETE /api/v1/items/{item_id}" not in taken
