"""Exceptions, handlers and response models, as FastAPI's tutorial has them."""

from typing import Any

import pytest
from fastapi import (
    FastAPI,
    HTTPException,
    Request,
    Response,
)
from fastapi.responses import PlainTextResponse
from httpx2 import AsyncClient
from pydantic import AliasChoices, BaseModel, Field, computed_field, field_validator
from sqlalchemy.orm import selectinload
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.users.models import User
from app.users.schemas import UserPublic
from app.web.schemas import Output
from app.web.session import SessionDep
from tests.marbles import Marble, MarblePublic, make_marble
from tests.problems import read_problem

pytestmark = pytest.mark.usefixtures("_live_marbles")


@pytest.mark.parametrize(
    ("status", "detail", "code"),
    [
        (409, "Quota exceeded", "conflict"),
        (460, "Odd", "status_460"),
        (418, None, "i_m_a_teapot"),
        (400, {"msg": "Nope!", "at": [1, None]}, "bad_request"),
    ],
)
async def test_http_exception_reaches_the_client(
    live_app: FastAPI, client: AsyncClient, status: int, detail: object, code: str
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
