"""The bare application: what FastAPI and SQLModel themselves cost, written as their tutorials do.

The same models, indexes, schemas, authentication and routes, with none of the service's headers,
logs, limits, problem documents and care for faults. It is no model to follow.
"""

import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel
from sqlalchemy import or_
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.auth.schemas import TokenPublic
from app.items.models import Item
from app.items.schemas import ItemCreate, ItemPublic, ItemUpdate
from app.users.models import User
from app.users.schemas import UserPublic
from app.users.tokens import hash_token, new_token

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"),
    pool_size=20,
    max_overflow=0,
)
new_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
hasher = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=47104, parallelism=1)])
scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login")
app = FastAPI()
router = APIRouter(prefix="/api/v1")


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_current_user(session: SessionDep, token: Annotated[str, Depends(scheme)]) -> User:
    now = datetime.now(UTC)
    statement = (
        select(User)
        .join(LoginSession, col(LoginSession.user_id) == User.id)
        .where(
            LoginSession.token_hash == hash_token(token),
            LoginSession.expires_at > now,
            LoginSession.last_used_at > now - timedelta(days=7),
            User.is_active,
        )
    )
    user = (await session.exec(statement)).one_or_none()
    if user is None:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


class Items(BaseModel):
    data: list[ItemPublic]
    next_cursor: str | None


class Users(BaseModel):
    data: list[UserPublic]
    next_cursor: str | None


@app.get("/healthz")
async def get_health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/users/me", response_model=UserPublic)
async def get_me(user: CurrentUser) -> User:
    return user


@router.get("/users", response_model=Users)
async def list_users(
    session: SessionDep, user: CurrentUser, limit: int = 50, search: str | None = None
) -> dict[str, object]:
    if not user.is_superuser:
        raise HTTPException(403)
    newest = select(User).order_by(col(User.created_at).desc(), col(User.id).desc())
    if search is not None:
        fields = (col(User.email), col(User.full_name))
        newest = newest.where(or_(*(each.icontains(search, autoescape=True) for each in fields)))
    rows = (await session.exec(newest.limit(limit + 1))).all()
    return {"data": rows[:limit], "next_cursor": str(rows[-1].id) if rows else None}


@router.get("/items", response_model=Items)
async def list_items(session: SessionDep, user: CurrentUser, limit: int = 50) -> dict[str, object]:
    mine = select(Item).where(Item.owner_id == user.id)
    newest = mine.order_by(col(Item.created_at).desc(), col(Item.id).desc()).limit(limit + 1)
    rows = (await session.exec(newest)).all()
    return {"data": rows[:limit], "next_cursor": str(rows[-1].id)}


@router.get("/items/{item_id}", response_model=ItemPublic)
async def get_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> Item:
    item = await session.get(Item, item_id)
    if item is None or (item.owner_id != user.id and not user.is_superuser):
        raise HTTPException(404)
    return item


@router.post("/items", response_model=ItemPublic, status_code=201)
async def create_item(session: SessionDep, user: CurrentUser, data: ItemCreate) -> Item:
    item = Item.model_validate(data, update={"owner_id": user.id})
    session.add(item)
    await session.commit()
    return item


@router.patch("/items/{item_id}", response_model=ItemPublic)
async def update_item(
    session: SessionDep, user: CurrentUser, item_id: uuid.UUID, data: ItemUpdate
) -> Item:
    item = await get_item(session, user, item_id)
    item.sqlmodel_update(data.model_dump(exclude_unset=True))
    await session.commit()
    return item


@router.post("/auth/login")
async def log_in(
    session: SessionDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]
) -> TokenPublic:
    user = (await session.exec(select(User).where(User.email == form.username))).one_or_none()
    if user is None or not await run_in_threadpool(
        hasher.verify, form.password, user.hashed_password
    ):
        raise HTTPException(401)
    token = new_token("ust")
    expires_at = datetime.now(UTC) + timedelta(days=30)
    session.add(LoginSession(user_id=user.id, token_hash=hash_token(token), expires_at=expires_at))
    await session.commit()
    return TokenPublic(
        access_token=token,
        token_type="bearer",  # noqa: S106  # the type, not a token
        expires_at=expires_at,
    )


app.include_router(router)
