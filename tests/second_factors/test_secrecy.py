"""What second factors leave behind: no code, challenge or secret is in the log or in a table."""

import json
from collections.abc import Iterator
from typing import Any

from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.factories import let_time_pass
from tests.observability.conftest import Events, events
from tests.second_factors.factories import FACTORS, give_code, give_password, make_code

__all__ = ["events"]  # a fixture


async def enrol(client: AsyncClient) -> tuple[str, list[str]]:
    """Set up an app; return its secret, and the recovery codes."""
    secret: str = (await client.post(f"{FACTORS}/totp")).json()["secret"]
    await client.post(f"{FACTORS}/totp/confirm", json={"code": "999999"})
    body = {"code": make_code(secret, steps=-1)}
    confirmed = await client.post(f"{FACTORS}/totp/confirm", json=body)
    return secret, [body["code"], *confirmed.json()["recovery_codes"]]


async def sign_in_with(client: AsyncClient, user: User, *codes: str) -> list[str]:
    """Sign in with the last code, and try the others; return what must be known to nobody."""
    challenge = (await give_password(client, user)).json()["challenge"]
    answers = [await give_code(client, challenge, code) for code in codes]
    assert [answer.status_code for answer in answers] == [*[401] * (len(codes) - 1), 200]
    return [challenge, answers[-1].json()["access_token"]]


async def read_texts(session: AsyncSession) -> Iterator[str]:
    """Read the texts of all tables, and what is JSON."""
    connection = await session.connection()
    rows = [
        row
        for table in SQLModel.metadata.sorted_tables
        for row in await connection.execute(select(table))
    ]
    return (str(value) for row in rows for value in row if isinstance(value, str | dict))


async def test_asvs_16_2_5_no_code_and_no_challenge_is_logged_or_kept(
    client: AsyncClient,
    user_client: AsyncClient,
    user: User,
    session: AsyncSession,
    events: Events,
) -> None:
    secret, codes = await enrol(user_client)
    wrong, code = "canary-of-a-code", make_code(secret, steps=1)
    secrets = [secret, wrong, code, *codes]
    secrets += await sign_in_with(client, user, wrong, code)
    secrets += await sign_in_with(client, user, code, codes[1])
    await let_time_pass(session, "1 hour")
    client.headers["Authorization"] = f"Bearer {secrets[-1]}"
    renewed = (await client.post(f"{FACTORS}/recovery-codes")).json()["recovery_codes"]
    assert (await client.delete(f"{FACTORS}/totp")).status_code == 204
    secrets += renewed
    secrets += [each.replace("-", "") for each in (*codes, *renewed)]
    logged = [without_time(each) for each in events()]
    assert len(logged) > 10
    assert len(renewed) == 10
    session.expire_all()
    text = json.dumps(logged) + " ".join(await read_texts(session))
    assert not [each for each in secrets if each in text]


def without_time(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has six digits, too."""
    return {name: value for name, value in event.items() if name != "timestamp"}
