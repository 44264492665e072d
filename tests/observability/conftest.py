"""What the service has logged, and a route that works as a test wants."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.observability.logging import configure_logging
from app.web.router import Router
from app.web.session import SessionDep

Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def events(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> Events:
    """Read what the service has logged since the last time, as production writes it."""
    assert app is not None  # which has set up logging for development
    configure_logging(as_json=True, level="debug")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the tests' own client

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


def add_route(app: FastAPI, work: Callable[[AsyncSession], Any]) -> None:
    """Add `POST /work` to the application, a route of the usual kind."""
    router = Router(tags=["test"])

    @router.post("/work", response_model=Model | None)
    async def endpoint(session: SessionDep) -> Any:
        return await work(session)

    app.include_router(router)


class Model(BaseModel):
    number: int
