"""Passkeys as their owners add, name and remove them."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import LoginSession
from app.mail.models import Outbox
from app.passkeys.models import Passkey, PasskeyChallenge
from app.users.models import User
from tests.factories import earlier, make_token, make_user, move_login_back, sign_in
from tests.passkeys.authenticator import (
    BACKED_UP,
    ELIGIBLE,
    PRESENT,
    VERIFIED,
    Authenticator,
    encode,
)
from tests.passkeys.factories import PASSKEYS, add_passkey, ask, log_in, register
from tests.problems import read_problem
from tests.second_factors.factories import FACTORS


async def find_passkeys(session: AsyncSession) -> list[bytes]:
    return list(await session.exec(select(Passkey.credential_id)))


async def test_owner_adds_names_and_removes_passkeys(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    await make_token(session, user)
    holder = Authenticator(flags=PRESENT | VERIFIED | ELIGIBLE | BACKED_UP)
    options = await ask(user_client, PASSKEYS)
    assert options["rp"] == {"id": "localhost", "name": "User service"}
    assert options["user"]["id"] == encode(user.id.bytes)
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    answer = await register(user_client, holder)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["recovery_codes"]) == 10
    assert answer.json()["is_backed_up"]
    # Other devices are signed out.
    assert list(await session.exec(select(LoginSession.is_strong))) == [True]
    second = await register(user_client, Authenticator(), name="Phone")
    assert second.json()["recovery_codes"] == []
    known = (await ask(user_client, PASSKEYS))["excludeCredentials"]
    assert encode(holder.credential_id) in [each["id"] for each in known]
    # Both are of one instant here, as the test is one transaction.
    names = {each["name"] for each in (await user_client.get(PASSKEYS)).json()}
    assert names == {"Laptop", "Phone"}
    path = f"{PASSKEYS}/{second.json()['id']}"
    assert (await user_client.patch(path, json={"name": "Key"})).json()["name"] == "Key"
    assert (await user_client.delete(path)).status_code == 204
    read_problem(await user_client.delete(path), 404, "passkey_not_found")
    methods = (await user_client.get(FACTORS)).json()["methods"]
    assert methods == ["passkey", "recovery_code"]
    told = await session.exec(select(Outbox.payload).where(Outbox.kind == "second_factor_changed"))
    assert [(each["factor"], each["change"]) for each in told] == [
        *[("passkey", "added")] * 2,
        ("passkey", "removed"),
    ]


async def test_last_passkey_takes_recovery_codes_along(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    id_ = (await register(user_client, Authenticator())).json()["id"]
    assert (await user_client.delete(f"{PASSKEYS}/{id_}")).status_code == 204
    answer = (await user_client.get(FACTORS)).json()
    assert (answer["methods"], answer["recovery_codes_left"]) == ([], 0)
    assert list(await session.exec(select(LoginSession.is_strong))) == [False]


WRONG: dict[str, dict[str, Any]] = {
    "origin": {"origin": "http://localhost:8001"},
    "relying party": {"rp_id": "example.com"},
    "algorithm": {"algorithm": -36},
    "no user verification": {"flags": PRESENT},
    "backed up and not eligible": {"flags": PRESENT | VERIFIED | BACKED_UP},
    "long id": {"credential_id": bytes(1024)},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_wrong_passkey_is_refused(
    user_client: AsyncClient, session: AsyncSession, wrong: dict[str, Any]
) -> None:
    answer = await register(user_client, Authenticator(**wrong))
    read_problem(answer, 400, "invalid_passkey")
    assert await find_passkeys(session) == []


async def test_challenge_is_for_one_passkey_of_one_user(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession
) -> None:
    await sign_in(client, session, await make_user(session))
    holder = Authenticator()
    body = {"name": "x", "credential": holder.create(await ask(user_client, PASSKEYS))}
    read_problem(await client.post(PASSKEYS, json=body), 400, "invalid_passkey")
    assert (await user_client.post(PASSKEYS, json=body)).status_code == 201
    read_problem(await user_client.post(PASSKEYS, json=body), 400, "invalid_passkey")
    # That of a login is no other either.
    options = await ask(user_client, PASSKEYS)
    options["challenge"] = (await ask(client, "/api/v1/auth/login/passkey"))["challenge"]
    body["credential"] = Authenticator().create(options)
    read_problem(await user_client.post(PASSKEYS, json=body), 400, "invalid_passkey")


async def test_challenge_ends_after_five_minutes(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    options = await ask(user_client, PASSKEYS)
    expires_at = earlier(PasskeyChallenge.expires_at, "5 minutes")
    await session.exec(update(PasskeyChallenge).values(expires_at=expires_at))
    await session.commit()
    body = {"name": "x", "credential": Authenticator().create(options)}
    read_problem(await user_client.post(PASSKEYS, json=body), 400, "invalid_passkey")


async def test_passkey_of_another_user_is_taken(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    other = await make_user(session)
    await sign_in(client, session, other)
    holder = Authenticator()
    assert (await register(client, holder)).status_code == 201
    read_problem(await register(user_client, holder), 409, "passkey_taken")
    assert (await log_in(client, holder)).status_code == 401  # its handle is another's now
    holder.user_handle = other.id.bytes
    assert (await log_in(client, holder)).status_code == 200
    assert (await user_client.get(FACTORS)).json()["methods"] == []
    assert user.id != other.id


async def test_passkeys_are_limited(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    for _ in range(20):
        await add_passkey(session, user)
    read_problem(await register(user_client, Authenticator()), 409, "too_many_passkeys")


def garble(credential: dict[str, Any]) -> list[dict[str, Any]]:
    """Return answers that no browser would give."""
    response = credential["response"]
    nested, binary = encode(b"[" * 40_000), encode(b"\xff" * 999)
    garbage: list[object] = [None, 0, "", "!", "A" * 60_000, [], {}, nested, binary]
    names = ("id", "rawId", "type", "response")
    return [
        *(credential | {name: each} for name in names for each in garbage),
        *(
            credential | {"response": response | {name: each}}
            for name in response
            for each in garbage
            if (name, each) != ("userHandle", None)
        ),
        {},
    ]


async def test_garbage_is_refused(user_client: AsyncClient, session: AsyncSession) -> None:
    options = await ask(user_client, PASSKEYS)
    for credential in garble(Authenticator().create(options)):
        answer = await user_client.post(PASSKEYS, json={"name": "x", "credential": credential})
        read_problem(answer, 400, "invalid_passkey")
    assert await find_passkeys(session) == []


async def test_body_of_64_kib_is_too_large(user_client: AsyncClient) -> None:
    body = {"name": "x", "credential": {"id": "A" * 2**16}}
    assert (await user_client.post(PASSKEYS, json=body)).status_code == 413


async def test_change_of_passkeys_needs_a_recent_login(
    user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    _, passkey = await add_passkey(session, user)
    await move_login_back(session, user, authenticated_at="15 minutes")
    body = {"name": "x", "credential": {}}
    for answer in (
        await user_client.post(f"{PASSKEYS}/options"),
        await user_client.post(PASSKEYS, json=body),
        await user_client.delete(f"{PASSKEYS}/{passkey.id}"),
    ):
        read_problem(answer, 403, "recent_login_required")
