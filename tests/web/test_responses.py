"""No answer of any route tells more than its schema names, and none a secret."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.models import EmailToken
from app.users.models import User
from app.users.service import NO_PASSWORD
from tests.auth.test_authorization import CALLERS, DECISIONS, ROUTES, Cast, make_cast

HIDDEN = {"hashed_password", "token_hash", "key_hash", "fingerprint"}


@pytest.fixture
async def cast(app: FastAPI, session: AsyncSession) -> Cast:
    return await make_cast(app, session)


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


async def find_secrets(session: AsyncSession) -> set[str]:
    """Return what must not leave the database: hashes, and bytes in each form they could take."""
    secrets = {*await session.exec(select(User.hashed_password))} - {NO_PASSWORD}
    for column in (LoginSession.token_hash, EmailToken.token_hash):
        for digest in await session.exec(select(column)):
            secrets |= {digest.hex(), repr(digest)[2:-1], str(list(digest))}
    return secrets


@pytest.mark.parametrize("route", ROUTES)
async def test_answer_has_the_fields_of_its_schema_and_no_secret(
    document: dict[str, Any], cast: Cast, session: AsyncSession, route: str
) -> None:
    connection = await session.connection()
    for caller in CALLERS:
        async with connection.begin_nested() as savepoint:
            answer = await cast.call(route, caller)
            secrets = await find_secrets(session)
            await savepoint.rollback()
        assert answer.status_code == DECISIONS[route][CALLERS.index(caller)]
        leaked = [secret for secret in secrets if secret in answer.text]
        assert not leaked
        media_type = answer.headers.get("content-type", "")
        if answer.content and "json" in media_type and route != "GET /openapi.json":
            assert [*find_unknown(document, route, answer)] == []
            assert not HIDDEN & {*find_names(answer.json())}


def find_unknown(document: dict[str, Any], route: str, answer: Response) -> Iterator[str]:
    """Name the fields of an answer that the OpenAPI document does not have."""
    method, path = route.split()
    responses = document["paths"][path][method.lower()]["responses"]
    media_type = answer.headers["content-type"].partition(";")[0]
    if (response := responses.get(str(answer.status_code))) is None:
        response = {"content": {media_type: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    yield from compare(document, response["content"][media_type]["schema"], answer.json())


def compare(document: dict[str, Any], schema: dict[str, Any], value: Any) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for each in value:
            yield from compare(document, schema.get("items") or schema["anyOf"][0]["items"], each)
    if isinstance(value, dict) and "properties" in schema:  # else it is any JSON object
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield name
            else:
                yield from compare(document, schema["properties"][name], inner)


def find_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in (
        value.values() if isinstance(value, dict) else value if (isinstance(value, list)) else ()
    ):
        yield from find_names(inner)
