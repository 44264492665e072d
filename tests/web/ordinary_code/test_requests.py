"""Parameters, dependencies, bodies and mounts, as FastAPI's tutorial has them."""

import uuid
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import PlainTextResponse
from httpx2 import AsyncClient
from pydantic import BaseModel
from sqlalchemy import text
from starlette.middleware.base import BaseHTTPMiddleware

from app.auth.dependencies import get_current_user
from app.web.router import Router
from app.web.session import SessionDep
from tests.factories import new_user
from tests.problems import read_problem
from tests.web.ordinary_code.working import FAILURE

pytestmark = pytest.mark.usefixtures("_live_marbles")


async def test_parameters_and_dependencies_of_all_kinds(
    live_app: FastAPI, client: AsyncClient
) -> None:
    calls: list[str] = []

    def synchronous(x_tag: Annotated[str, Header()]) -> str:
        calls.append("synchronous")
        return x_tag

    def with_yield() -> Iterator[str]:
        calls.append("begins")
        yield "yielded"
        calls.append("ends")

    async def refuse(x_refused: Annotated[str | None, Header()] = None) -> None:
        if x_refused:
            raise HTTPException(403, detail="Refused")

    inner = APIRouter(prefix="/inner", dependencies=[Depends(refuse)])
    outer = Router(prefix="/outer")

    @inner.get("/{number}")
    def endpoint(
        number: int,
        header: Annotated[str, Depends(synchronous)],
        again: Annotated[str, Depends(synchronous, use_cache=False)],
        yielded: Annotated[str, Depends(with_yield)],
        flavour: Annotated[str, Cookie()],
    ) -> list[str]:
        return [str(number), header, again, yielded, flavour]

    outer.include_router(inner)
    live_app.include_router(outer, prefix="/api")
    headers = {"X-Tag": "tag", "Cookie": "flavour=oat"}
    answer = await client.get("/api/outer/inner/7", headers=headers)
    assert answer.json() == ["7", "tag", "tag", "yielded", "oat"]
    assert calls == ["synchronous", "synchronous", "begins", "ends"]
    refused = await client.get("/api/outer/inner/7", headers=headers | {"X-Refused": "yes"})
    assert read_problem(refused, 403, "forbidden")["detail"] == "Refused"


async def test_bodies_of_all_kinds(
    live_app: FastAPI, client: AsyncClient, router: APIRouter
) -> None:
    class Note(BaseModel):
        text: str

    @router.post("/upload", max_body_size=200_000)
    async def upload(file: UploadFile) -> list[str | int | None]:
        return [file.filename, len(await file.read())]

    @router.post("/form")
    async def form(name: Annotated[str, Form()], file: Annotated[bytes, File()]) -> list[str | int]:
        return [name, len(file)]

    @router.post("/csv")
    async def table(text: Annotated[str, Body(media_type="text/csv")]) -> str:
        return text

    @router.post("/several")
    async def several(first: Note, second: Note, third: Annotated[int, Body()]) -> list[str | int]:
        return [first.text, second.text, third]

    live_app.include_router(router)
    file = {"file": ("a.bin", b"x" * 100_000)}
    assert (await client.post("/upload", files=file)).json() == ["a.bin", 100_000]
    assert (await client.post("/form", data={"name": "Ada"}, files={"file": b"xyz"})).json() == [
        "Ada",
        3,
    ]
    read_problem(
        await client.post("/form", data={"name": "Ada"}, files=file), 413, "content_too_large"
    )
    file = {"file": ("a.bin", b"x" * 300_000)}
    read_problem(await client.post("/upload", files=file), 413, "content_too_large")
    answer = await client.post("/csv", content="a;b", headers={"Content-Type": "text/csv"})
    assert answer.json() == "a;b"
    body = {"first": {"text": "a"}, "second": {"text": "b"}, "third": 3}
    assert (await client.post("/several", json=body)).json() == ["a", "b", 3]


async def test_file_is_read_again_when_a_request_is_repeated(
    live_app: FastAPI, client: AsyncClient
) -> None:
    sizes: list[int] = []

    @live_app.post("/work")
    async def upload(session: SessionDep, file: UploadFile) -> int:
        sizes.append(len(await file.read()))
        if len(sizes) == 1:
            await (await session.connection()).execute(text(FAILURE))
        return sizes[-1]

    assert (await client.post("/work", files={"file": b"xyz"})).json() == 3
    assert sizes == [3, 3]


async def test_overrides_mounts_heads_and_middleware(
    live_app: FastAPI, client: AsyncClient
) -> None:
    mounted = FastAPI()

    @mounted.get("/hello")
    async def hello() -> str:
        return "from within"

    @live_app.get("/plain", response_class=PlainTextResponse)
    async def plain() -> str:
        return "text"

    @live_app.head("/plain")
    async def head(response: Response) -> None:
        response.headers["X-Own"] = "head"

    async def add_header(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["X-Middleware"] = "was here"
        return response

    live_app.mount("/mounted", mounted)
    live_app.add_middleware(BaseHTTPMiddleware, dispatch=add_header)
    live_app.dependency_overrides[get_current_user] = lambda: new_user(id=uuid.uuid4())
    assert (await client.get("/mounted/hello")).json() == "from within"
    assert (await client.get("/mounted/nowhere")).status_code == 404
    answer = await client.get("/plain")
    assert (answer.text, answer.headers["x-middleware"]) == ("text", "was here")
    assert (await client.head("/plain")).headers["x-own"] == "head"
    assert (await client.head("/mounted/hello")).status_code == 200
    del client.headers["Authorization"]
    assert (await client.get("/api/v1/marbles")).json() == {"data": [], "next_cursor": None}
