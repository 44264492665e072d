"""A user who is signed in to the live service, and routers of both kinds."""

import pytest
from fastapi import (
    APIRouter,
)
from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from app.web.router import Router
from tests.factories import make_user, sign_in


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
