from typing import Any

from httpx2 import AsyncClient
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox
from tests.factories import (
    PASSWORD,
)
from tests.problems import read_problem

API = "/api/v1"
NEW_PASSWORD = f"new {PASSWORD}"


async def read_outbox(session: AsyncSession, *kinds: str) -> list[dict[str, Any]]:
    """Return what waits to be mailed, without the order."""
    found = await session.exec(select(Outbox).where(col(Outbox.kind).in_(kinds)))
    return [{"kind": each.kind, **each.payload} for each in found]


async def reset(client: AsyncClient, token: str) -> int:
    body = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post(f"{API}/auth/password-reset/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code


async def confirm(client: AsyncClient, token: str) -> int:
    body = {"token": token}
    answer = await client.post(f"{API}/auth/email-verification/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code
