"""A domain of the tests' own: what they show of sessions, pages and routes is about no other's.

Its tables are in the tests' databases alone, and no part of the metadata that revisions follow.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from fastapi import Depends, FastAPI, Query
from pydantic import MISSING
from sqlalchemy import URL, Column, ForeignKey, MetaData, NullPool, create_engine
from sqlalchemy.orm import relationship
from sqlmodel import Field, Relationship, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.dependencies import CurrentUser
from app.database.tables import Timestamps
from app.users.models import User
from app.web.errors import NotFound
from app.web.pagination import Page, PagePublic, PageQuery, get_page
from app.web.router import Router
from app.web.schemas import Input, Line, Output, Text
from app.web.session import SessionDep
from app.web.strict import given_once

METADATA = MetaData(naming_convention=SQLModel.metadata.naming_convention)


class MarbleBase(SQLModel):
    title: Line = Field(min_length=1, max_length=255)
    description: Text | None = Field(default=None, max_length=255)


class Marble(Timestamps, MarbleBase, table=True):
    metadata: ClassVar[MetaData] = METADATA

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(
        sa_column=Column(ForeignKey(col(User.id), ondelete="CASCADE"), index=True, nullable=False)
    )
    owner: User | None = Relationship()


# Nothing is written through it: a User is deleted as if there were none.
User.marbles = relationship(Marble, viewonly=True)


class MarbleCreate(Input, MarbleBase):
    pass


class MarbleUpdate(Input):
    title: Line | MISSING = Field(default=MISSING, min_length=1, max_length=255)
    description: Text | MISSING | None = Field(default=MISSING, max_length=255)


class MarblePublic(Output):
    title: str
    description: str | None
    id: uuid.UUID
    owner_id: uuid.UUID
    created_at: datetime
    updated_at: datetime


class MarblePage(PagePublic[MarblePublic]):
    pass


class MarbleNotFound(NotFound):
    """No marble of yours has this id."""


router = Router(prefix="/api/v1/marbles", tags=["marbles"])


@router.get("", response_model=MarblePage, dependencies=[Depends(given_once)])
async def list_marbles(
    session: SessionDep, user: CurrentUser, query: Annotated[PageQuery, Query()]
) -> Page[Marble]:
    mine = select(Marble).where(col(Marble.owner_id) == user.id)
    return await get_page(session, mine, query, search_in=(Marble.title, Marble.description))


@router.post("", response_model=MarblePublic, status_code=201)
async def create_marble(session: SessionDep, user: CurrentUser, data: MarbleCreate) -> Marble:
    marble = Marble.model_validate(data, update={"owner_id": user.id})
    session.add(marble)
    await session.flush()
    return marble


@router.get("/{marble_id}", response_model=MarblePublic)
async def get_marble(session: SessionDep, user: CurrentUser, marble_id: uuid.UUID) -> Marble:
    marble = await session.get(Marble, marble_id)
    if marble is None or marble.owner_id != user.id:
        raise MarbleNotFound
    return marble


@router.patch("/{marble_id}", response_model=MarblePublic)
async def update_marble(
    session: SessionDep, user: CurrentUser, marble_id: uuid.UUID, data: MarbleUpdate
) -> Marble:
    marble = await get_marble(session, user, marble_id)
    marble.sqlmodel_update(data.model_dump(exclude_unset=True))
    await session.flush()
    return marble


async def make_marble(session: AsyncSession, owner: User, **attributes: Any) -> Marble:
    values: dict[str, Any] = {"title": "Marble", "owner_id": owner.id} | attributes
    marble = Marble(**values)
    session.add(marble)
    await session.commit()
    return marble


def create_tables(url: URL) -> None:
    """Add the tables to a database that has the service's."""
    engine = create_engine(url, poolclass=NullPool)
    METADATA.create_all(engine)


def with_marbles(create_app: Callable[..., FastAPI]) -> Callable[..., FastAPI]:
    """Make what creates the service create one that has these routes too."""

    def create(*settings: Any) -> FastAPI:
        app = create_app(*settings)
        app.include_router(router)
        return app

    return create
