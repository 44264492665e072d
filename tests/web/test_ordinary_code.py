"""What the tutorials of FastAPI and SQLModel teach, in routes of the service: it just works."""

import asyncio
import csv
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import (
    APIRouter,
    BackgroundTasks,
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
    WebSocket,
)
from fastapi.responses import PlainTextResponse, StreamingResponse
from httpx2 import AsyncClient
from pydantic import AliasChoices, BaseModel, Field, SecretStr, computed_field, field_validator
from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import selectinload
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.middleware.base import BaseHTTPMiddleware
from websockets.asyncio.client import connect

from app.auth.dependencies import CurrentUser, get_current_user
from app.database.transactions import Database
from app.main import create_app
from app.settings import Settings
from app.users.models import User
from app.users.schemas import UserPublic
from app.web.protocol import Connection
from app.web.router import Router
from app.web.schemas import Output
from app.web.session import DatabaseDep, SessionDep, TransactionDep
from tests.factories import make_user, new_user, sign_in
from tests.marbles import Marble, MarbleCreate, MarblePublic, make_marble
from tests.problems import read_problem

pytestmark = pytest.mark.usefixtures("_live_marbles")
FAILURE = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"


@pytest.fixture
async def user(live_session: AsyncSession) -> User:
    return await make_user(live_session)


@pytest.fixture
async def client(live_client: AsyncClient, live_session: AsyncSession, user: User) -> AsyncClient:
    await sign_in(live_client, live_session, user)
    return live_client


@pytest.fixture(params=[Router, APIRouter])
def router(request: pytest.FixtureRequest) -> APIRouter:
    """Ours, and FastAPI's."""
    router: APIRouter = request.param()
    return router


async def count_marbles(session: AsyncSession) -> int:
    count = (await session.exec(select(func.count()).select_from(Marble))).one()
    await session.commit()
    return count


async def work(app: FastAPI, client: AsyncClient, endpoint: Callable[..., Any]) -> Any:
    """Let `POST /work` call an endpoint, and return what it answers."""
    router = Router()
    router.add_api_route("/work", endpoint, methods=["POST"], response_model=None)
    app.include_router(router)
    answer = await client.post("/work")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fail_in(session: AsyncSession, transaction: AsyncSessionTransaction, user: User) -> None:
    """Add a marble in a transaction that fails."""
    with suppress(LookupError):
        async with transaction:
            session.add(Marble(title="Undone", owner_id=user.id))
            await session.flush()
            raise LookupError


# SQLModel and SQLAlchemy


async def test_what_is_assigned_to_the_user_is_written(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    @router.patch("/work")
    async def endpoint(user: CurrentUser) -> None:
        user.full_name = "New"

    live_app.include_router(router)
    assert (await client.patch("/work")).status_code == 200
    await live_session.refresh(user)
    assert user.full_name == "New"


async def test_relationships_load_as_documented(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user, title="Mine")

    async def endpoint(session: SessionDep, current: CurrentUser) -> list[str]:
        user: Any = current
        model: Any = User  # whose relationship the tests have added
        awaited = await user.awaitable_attrs.marbles
        await session.refresh(user, ["marbles"])
        refreshed = user.marbles
        session.expunge_all()
        eager: Any = select(User).options(selectinload(model.marbles))
        selected = (await session.exec(eager)).one().marbles
        return [each.title for each in (*awaited, *refreshed, *selected)]

    assert await work(live_app, client, endpoint) == ["Mine"] * 3


async def test_transaction_is_the_routes_to_begin(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    async def endpoint(session: SessionDep, user: CurrentUser) -> str:
        async with session.begin():
            session.add(Marble(title="Kept", owner_id=user.id))
        await fail_in(session, session.begin(), user)
        options = {"isolation_level": "SERIALIZABLE"}
        connection = await session.connection(execution_options=options)
        level: str = await connection.scalar(text("SHOW transaction_isolation"))
        return level

    assert await work(live_app, client, endpoint) == "serializable"
    assert list(await live_session.exec(select(Marble.title))) == ["Kept"]


async def test_savepoints_deletion_and_run_sync_work(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user)

    async def endpoint(session: SessionDep, user: CurrentUser) -> int:
        await fail_in(session, session.begin_nested(), user)
        count: int = await session.run_sync(
            lambda sync: sync.scalar(select(func.count()).select_from(Marble))  # type: ignore[arg-type, return-value]
        )
        await session.delete(user)
        return count

    assert await work(live_app, client, endpoint) == 1
    assert (await live_session.exec(select(User.id))).all() == []


async def test_events_of_sqlalchemy_are_heard(live_app: FastAPI, client: AsyncClient) -> None:
    heard: list[str] = []

    def hear(session: SyncSession, _: object) -> None:
        heard.extend(type(each).__name__ for each in session.new)

    async def endpoint(session: SessionDep, user: CurrentUser) -> None:
        event.listen(session.sync_session, "before_flush", lambda *about: hear(*about[:2]))
        session.add(Marble(title="New", owner_id=user.id))

    await work(live_app, client, endpoint)
    assert heard == ["Marble"]


async def test_engine_is_transactional(live_app: FastAPI, live_session: AsyncSession) -> None:
    database: Database = live_app.state.database
    user = await make_user(live_session)
    with suppress(LookupError):
        async with database.engine.begin() as connection:
            await connection.execute(text('UPDATE "user" SET full_name = NULL'))
            raise LookupError
    await live_session.refresh(user)
    assert user.full_name is not None


async def test_commit_and_refresh_as_in_the_tutorial(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, router: APIRouter
) -> None:
    @router.post("/work", response_model=MarblePublic)
    async def endpoint(session: SessionDep, user: CurrentUser, data: MarbleCreate) -> Marble:
        marble = Marble.model_validate(data, update={"owner_id": user.id})
        session.add(marble)
        await session.commit()
        await session.refresh(marble)
        return marble

    live_app.include_router(router)
    answer = await client.post("/work", json={"title": "New"})
    assert answer.json()["title"] == "New"
    assert await count_marbles(live_session) == 1


async def test_what_was_committed_is_not_done_again(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    @live_app.post("/work")
    async def endpoint(session: SessionDep, user: CurrentUser) -> None:
        session.add(Marble(title="Once", owner_id=user.id))
        await session.commit()
        connection = await session.connection()
        await connection.execute(
            text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        )

    read_problem(await client.post("/work"), 503, "unavailable")
    assert await count_marbles(live_session) == 1


async def test_foreign_key_violation_is_a_conflict_tried_once(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    router: APIRouter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tries = []

    @router.post("/work")
    async def endpoint(session: SessionDep) -> None:
        tries.append(session)
        session.add(Marble(title="Nobody's", owner_id=uuid.uuid4()))

    live_app.include_router(router)
    answer = await client.post("/work")
    read_problem(answer, 409, "conflict")
    assert "unexpected_error" not in capsys.readouterr().err
    assert len(tries) == 1
    assert await count_marbles(live_session) == 0


# A GET


def get(app: FastAPI, endpoint: Callable[..., Any]) -> None:
    app.add_api_route("/work", endpoint, methods=["GET"], response_model=None)


async def add_at_the_end(session: SessionDep, user: CurrentUser) -> None:
    session.add(Marble(title="New", owner_id=user.id))


async def flush_and_refuse(session: SessionDep, user: CurrentUser) -> None:
    session.add(Marble(title="New", owner_id=user.id))
    await session.flush()
    raise HTTPException(409)


async def update_by_statement(session: SessionDep, _: CurrentUser) -> None:
    await (await session.connection()).execute(text("UPDATE marble SET title = 'New'"))


async def lock(session: SessionDep, _: CurrentUser) -> None:
    await session.exec(select(Marble).with_for_update())


async def open_savepoint(session: SessionDep, _: CurrentUser) -> None:
    async with session.begin_nested():
        await session.exec(select(Marble))


async def stream(session: SessionDep, _: CurrentUser) -> None:
    await session.stream_scalars(select(Marble))


async def set_locally(session: SessionDep, _: CurrentUser) -> None:
    await (await session.connection()).execute(text("SET LOCAL lock_timeout = 1"))


@pytest.mark.parametrize(
    "endpoint",
    [
        *(add_at_the_end, flush_and_refuse, update_by_statement, lock),
        *(open_savepoint, stream, set_locally),
    ],
)
async def test_get_that_does_not_only_read_is_told_what_to_do(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    capsys: pytest.CaptureFixture[str],
    endpoint: Callable[..., Any],
) -> None:
    get(live_app, endpoint)
    read_problem(await client.get("/work"), 500, "internal_server_error")
    assert "TransactionDep" in capsys.readouterr().err
    assert await count_marbles(live_session) == 0


async def test_get_can_ask_for_a_transaction(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user, title="Old")

    @live_app.get("/work")
    async def endpoint(session: TransactionDep, _: CurrentUser) -> list[str]:
        connection = await session.connection()
        await connection.execute(text("SET LOCAL lock_timeout = 1"))
        found = [each.title async for each in await session.stream_scalars(select(Marble))]
        async with session.begin_nested():
            (marble,) = await session.exec(select(Marble).with_for_update())
        marble.title = "New"
        return [*found, str(await connection.scalar(text("SHOW lock_timeout")))]

    assert (await client.get("/work")).json() == ["Old", "1ms"]
    assert list(await live_session.exec(select(Marble.title))) == ["New"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_set_does_not_outlive_the_request(
    live_app: FastAPI, client: AsyncClient, method: str
) -> None:
    async def endpoint(session: SessionDep) -> str:
        connection = await session.connection()
        before = str(await connection.scalar(text("SHOW work_mem")))
        await connection.execute(text("SET work_mem = '77MB'"))
        return before

    live_app.add_api_route("/work", endpoint, methods=[method], response_model=None)
    answers = [(await client.request(method, "/work")).json() for _ in range(2)]
    assert "77MB" not in answers


# After the answer has begun


async def test_session_lasts_as_long_as_a_stream(
    live_app: FastAPI,
    client: AsyncClient,
    live_session: AsyncSession,
    user: User,
    router: APIRouter,
) -> None:
    await make_marble(live_session, user, title="Mine")

    @router.get("/response")
    async def respond(session: SessionDep, user: CurrentUser) -> StreamingResponse:
        async def read() -> AsyncIterator[str]:
            yield "owner,title\n"
            for marble in await session.exec(select(Marble).where(Marble.owner_id == user.id)):
                yield f"{user.email},{marble.title}\n"

        return StreamingResponse(read(), media_type="text/csv")

    @router.get("/generator", response_class=StreamingResponse)
    async def generate(session: SessionDep) -> AsyncIterator[str]:
        for marble in await session.exec(select(Marble)):
            yield marble.title

    live_app.include_router(router)
    rows = [*csv.DictReader((await client.get("/response")).text.splitlines())]
    assert rows == [{"owner": user.email, "title": "Mine"}]
    assert (await client.get("/generator")).text == "Mine"
    assert live_app.state.database.connections_in_use == 0


async def test_background_task_runs_after_the_commit(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    seen: list[int] = []

    async def look(database: Database, user_id: uuid.UUID) -> None:
        async def add(session: AsyncSession) -> None:
            seen.append((await session.exec(select(func.count()).select_from(Marble))).one())
            session.add(Marble(title="By the task", owner_id=user_id))

        await database.transact(add)

    @live_app.post("/work")
    async def endpoint(
        session: SessionDep, user: CurrentUser, database: DatabaseDep, tasks: BackgroundTasks
    ) -> None:
        session.add(Marble(title="By the route", owner_id=user.id))
        tasks.add_task(look, database, user.id)

    await client.post("/work")
    assert seen == [1]
    assert await count_marbles(live_session) == 2


async def test_dependency_uses_the_session_after_its_yield(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession
) -> None:
    async def note(session: SessionDep, user: CurrentUser) -> AsyncIterator[None]:
        yield
        session.add(Marble(title="Afterwards", owner_id=user.id))

    live_app.post("/work", dependencies=[Depends(note)])(lambda: None)
    assert (await client.post("/work")).status_code == 200
    assert list(await live_session.exec(select(Marble.title))) == ["Afterwards"]


async def test_websocket_has_the_session_on_a_real_server(
    live_database: URL, live_session: AsyncSession
) -> None:
    user = await make_user(live_session)
    url = live_database.render_as_string(hide_password=False)
    app = create_app(Settings(_env_file=None, database_url=SecretStr(url), mail_worker=False))

    @app.websocket("/work")
    async def endpoint(websocket: WebSocket, session: SessionDep) -> None:
        await websocket.accept()
        title = await websocket.receive_text()
        session.add(Marble(title=title, owner_id=user.id))
        await session.commit()
        await websocket.send_text(str(await count_marbles(session)))
        await websocket.close()

    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Connection, log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}/work") as websocket:
        await websocket.send("Sent")
        assert await websocket.recv() == "1"
    assert app.state.database.connections_in_use == 0
    server.should_exit = True
    await serving


# Requests


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


# Answers


@pytest.mark.parametrize(
    ("status", "detail", "code"),
    [(409, "Quota exceeded", "conflict"), (460, "Odd", "status_460"), (418, None, "i'm_a_teapot")],
)
async def test_http_exception_reaches_the_client(
    live_app: FastAPI, client: AsyncClient, status: int, detail: str | None, code: str
) -> None:
    @live_app.get("/work")
    async def endpoint() -> None:
        raise HTTPException(status, detail=detail, headers={"X-Own": "kept"})

    answer = await client.get("/work")
    problem = read_problem(answer, status, code)
    assert problem["detail"] == (detail or "I'm a Teapot")
    assert answer.headers["x-own"] == "kept"


async def test_exception_handlers_are_ordinary(live_app: FastAPI, client: AsyncClient) -> None:
    class QuotaError(Exception):
        pass

    @live_app.exception_handler(QuotaError)
    def refuse(_: Request, __: Exception) -> Response:
        return PlainTextResponse("quota", 429)

    @live_app.exception_handler(Exception)
    def apologize(_: Request, __: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    @live_app.get("/work")
    async def endpoint(*, fault: bool) -> None:
        raise LookupError if fault else QuotaError

    assert (await client.get("/work?fault=false")).text == "quota"
    answer = await client.get("/work?fault=true")
    assert (answer.status_code, answer.text) == (500, "sorry")
    assert answer.headers["x-content-type-options"] == "nosniff"


class Deleted(BaseModel):
    deleted: bool


class MarbleWithOwner(MarblePublic):
    owner: UserPublic | Deleted


class Summary(Output):
    name: str = Field(validation_alias=AliasChoices("full_name", "name"))
    note: str = "none"

    @field_validator("name")
    @classmethod
    def shout(cls, name: str) -> str:
        return name.upper()

    @computed_field
    def length(self) -> int:
        return len(self.name)


async def test_response_models_of_all_kinds(
    live_app: FastAPI, client: AsyncClient, live_session: AsyncSession, user: User
) -> None:
    await make_marble(live_session, user, title="Mine")

    @live_app.get("/nested", response_model=list[MarbleWithOwner])
    async def nested(session: SessionDep) -> Any:
        return (await session.exec(select(Marble).options(selectinload(col(Marble.owner))))).all()  # type: ignore[arg-type]

    @live_app.get("/summary", response_model=Summary)
    async def summary(user: CurrentUser) -> User:
        return user

    @live_app.get("/union", response_model=MarblePublic | UserPublic)
    async def union(user: CurrentUser) -> User:
        return user

    (marble,) = (await client.get("/nested")).json()
    assert marble["owner"].keys() == UserPublic.model_fields.keys()
    assert (await client.get("/summary")).json() == {
        "name": f"{user.full_name}".upper(),
        "note": "none",
        "length": len(user.full_name or ""),
    }
    answer = await client.get("/union")
    assert answer.json()["email"] == user.email
    assert "hashed_password" not in answer.text
