"""docs/recipes.md does what it says: each block is run as it stands."""

import hmac
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI, WebSocketDisconnect
from fastapi.testclient import TestClient
from httpx2 import AsyncClient, MockTransport, Response
from pydantic import SecretStr
from sqlalchemy import URL
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.rate_limit import RateLimits
from app.database.transactions import Database
from app.main import create_app
from app.settings import Settings
from app.users.models import User
from tests.factories import make_account, make_user
from tests.problems import read_problem
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
API = "/api/v1"


def name_module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def load(path: str) -> ModuleType:
    """Make a module of a block, as if it were the file that the page names."""
    if (ROOT / path).exists():
        pytest.skip("the project has carried it out, and goes its own way")
    name = name_module(path)
    module = sys.modules[name] = ModuleType(name)
    code = compile(
        BLOCKS[path], f"docs/recipes.md/{path}", "exec"
    )  # no file that coverage looks for
    exec(code, module.__dict__)  # noqa: S102  # our own page
    return module


@pytest.fixture(autouse=True)
def _forget_what_was_loaded() -> Iterator[None]:
    """Leave neither modules nor tables behind: the metadata is what revisions follow."""
    before = set(SQLModel.metadata.tables.values())
    yield
    for table in set(SQLModel.metadata.tables.values()) - before:
        SQLModel.metadata.remove(table)
    for path in BLOCKS:
        if not (ROOT / path).exists():
            sys.modules.pop(name_module(path), None)


def add(app: FastAPI, path: str) -> ModuleType:
    module = load(path)
    app.include_router(module.router, prefix=API)
    return module


def test_every_block_is_tried() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [path for path in BLOCKS if f'"{path}"' not in here] == []


async def test_many_to_many(
    app: FastAPI, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    models = load("app/groups/models.py")
    add(app, "app/groups/router.py")
    tables = [models.Group.__table__, models.Membership.__table__]
    connection = await session.connection()
    await connection.run_sync(lambda each: SQLModel.metadata.create_all(each, tables))
    groups = [models.Group(name=name) for name in ("A", "B", "C")]
    session.add_all(groups)
    await session.flush()
    session.add(models.Membership(group_id=groups[1].id, user_id=user.id))
    await session.commit()
    page = (await user_client.get(f"{API}/groups?limit=2")).json()
    assert len(page["data"]) == 2
    rest = (await user_client.get(f"{API}/groups?limit=2&cursor={page['next_cursor']}")).json()
    assert len(rest["data"]) == 1
    mine = (await user_client.get(f"{API}/groups?member={user.id}")).json()
    assert [each["name"] for each in mine["data"]] == ["B"]
    read_problem(await user_client.get(f"{API}/groups?member=me"), 422, "unprocessable_content")


async def test_background_job(
    app: FastAPI, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    add(app, "app/welcome/router.py")
    user.full_name = "Ada"
    session.add(user)
    await session.commit()
    answer = await user_client.post(f"{API}/welcome")
    assert answer.status_code == 202, answer.text
    await session.refresh(user)
    assert user.full_name == "Dear Ada"


async def test_job_runs_once_for_all_processes(database: Database) -> None:
    jobs = load("app/jobs.py")
    ran = []

    async def work(session: AsyncSession) -> None:
        ran.append(session)

    for _ in range(3):
        await jobs.run_if_due(database, RateLimits(database), work)
    assert len(ran) == 1


@pytest.mark.parametrize(("status", "answered"), [(200, 200), (500, 502)])
async def test_http_client(app: FastAPI, client: AsyncClient, status: int, answered: int) -> None:
    add(app, "app/weather/router.py")
    transport = MockTransport(lambda _: Response(status, json={"sky": "blue"}))
    async with AsyncClient(transport=transport) as http:
        app.state.http = http
        answer = await client.get(f"{API}/weather")
    assert answer.status_code == answered
    assert answered != 200 or answer.json() == {"sky": "blue"}


def test_websocket(live_database: URL) -> None:
    url = live_database.render_as_string(hide_password=False)
    settings = Settings(
        _env_file=None, database_url=SecretStr(url), password_hash_memory=8, mail_worker=False
    )
    app = create_app(settings)
    add(app, "app/presence/router.py")
    with TestClient(app) as client:
        account = make_account("present@example.com")
        client.post(f"{API}/auth/signup", json=account)
        form = {"username": account["email"], "password": account["password"]}
        token = client.post(f"{API}/auth/login", data=form).json()["access_token"]
        with client.websocket_connect(f"{API}/presence") as socket:
            socket.send_text(token)
            assert socket.receive_json() == {"email": "present@example.com"}
            client.post(f"{API}/auth/logout", headers={"Authorization": f"Bearer {token}"})
            socket.send_text("still there")
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
    assert closed.value.code == 1008


async def test_webhook(app: FastAPI, client: AsyncClient) -> None:
    secret = add(app, "app/webhooks/router.py").SECRET
    body = b'{"paid":  1}'
    headers = {"X-Signature": hmac.new(secret, body, "sha256").hexdigest()}
    path = f"{API}/webhooks/payments"
    assert (await client.post(path, content=body, headers=headers)).status_code == 204
    forged = await client.post(path, content=b'{"paid": 2}', headers=headers)
    read_problem(forged, 403, "wrong_signature")
    strange = await client.post(path, content=body, headers={b"X-Signature": b"\xff"})
    read_problem(strange, 403, "wrong_signature")
    missing = read_problem(await client.post(path, content=body), 422, "unprocessable_content")
    assert missing["errors"][0]["loc"] == ["header", "x-signature"]


async def test_upload(app: FastAPI, user_client: AsyncClient) -> None:
    add(app, "app/avatars/router.py")
    path = f"{API}/avatars/me"
    answer = await user_client.put(path, files={"file": b"x" * 1_000_000})
    assert answer.json() == {"bytes": 1_000_000}
    answer = await user_client.put(path, files={"file": b"x" * 5_000_001})
    read_problem(answer, 413, "content_too_large")


async def test_server_sent_events(app: FastAPI, user_client: AsyncClient) -> None:
    add(app, "app/feed/router.py")
    answer = await user_client.get(f"{API}/feed?times=2")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count('data: {"users":1}') == 2


async def test_csv(app: FastAPI, superuser_client: AsyncClient, session: AsyncSession) -> None:
    add(app, "app/exports/router.py")
    await make_user(session, email="ada@example.com")
    await make_user(session, email="=cmd@example.com")
    answer = await superuser_client.get(f"{API}/exports/users.csv")
    head, *rows = answer.text.splitlines()
    assert head == "email,created_at"
    assert len(rows) == 3
    assert any(row.startswith("ada@example.com,2") for row in rows)
    assert any(row.startswith("'=cmd@example.com,2") for row in rows)


async def test_router_of_the_tutorial(app: FastAPI, client: AsyncClient) -> None:
    add(app, "app/tutorial/router.py")
    headers = {"X-Token": "fake-super-secret-token"}
    found = await client.get(f"{API}/plumbuses/gun", headers=headers)
    assert found.json() == {"name": "Portal Gun", "plumbus_id": "gun"}
    missing = await client.get(f"{API}/plumbuses/x", headers=headers)
    assert read_problem(missing, 404, "not_found")["detail"] == "Plumbus not found"
    read_problem(
        await client.get(f"{API}/plumbuses/gun", headers={"X-Token": "x"}), 400, "bad_request"
    )


async def test_second_database(app: FastAPI, client: AsyncClient, empty_database: URL) -> None:
    add(app, "app/archive/router.py")
    app.state.archive = Database(empty_database, pool_size=1)
    answer = await client.get(f"{API}/archive")
    await app.state.archive.dispose()
    assert answer.json() == {"database": empty_database.database}


async def test_signed_in_user(user_client: AsyncClient, session: AsyncSession, user: User) -> None:
    module: Any = load("tests/users/test_names.py")
    await module.test_user_changes_the_own_name(user_client, session, user)
