"""The requests that many tests of accounts send, and what they look up."""

from typing import Any, Final

from httpx2 import AsyncClient, Response
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox
from tests.factories import PASSWORD
from tests.problems import read_problem

API: Final = "/api/v1"
AUTH: Final = f"{API}/auth"
ME: Final = f"{API}/users/me"
MY_PASSWORD: Final = f"{ME}/password"
NEW_PASSWORD: Final = f"new {PASSWORD}"
LONG: Final = "Long is fine: " + "z" * 114  # as long as a password may be


async def log_in(client: AsyncClient, username: str, password: str = PASSWORD) -> Response:
    form = {"username": username, "password": password}
    return await client.post(f"{AUTH}/login", data=form)


async def reset(client: AsyncClient, token: str) -> int:
    body = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post(f"{AUTH}/password-reset/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code


async def confirm(client: AsyncClient, token: str) -> int:
    body = {"token": token}
    answer = await client.post(f"{AUTH}/email-verification/confirm", json=body)
    if answer.status_code != 204:
        read_problem(answer, 400, "invalid_token")
    return answer.status_code


async def request_change(client: AsyncClient, email: str) -> None:
    answer = await client.post(f"{ME}/email", json={"new_email": email})
    assert (answer.status_code, answer.content) == (202, b"")


async def read_outbox(session: AsyncSession, *kinds: str) -> list[dict[str, Any]]:
    """Return what waits to be mailed, without the order."""
    found = await session.exec(select(Outbox).where(col(Outbox.kind).in_(kinds)))
    return [{"kind": each.kind, **each.payload} for each in found]
