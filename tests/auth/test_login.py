"""Signing in: what guessing costs, what an answer tells, and what the owner is told."""

from collections.abc import Callable, Mapping
from typing import Any

import bcrypt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import Secret
from sqlalchemy import text
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import KnownDevice, LoginSession
from app.mail.models import Outbox
from app.users.service import NO_PASSWORD
from tests.conftest import new_client
from tests.factories import HASHER, PASSWORD, let_time_pass, make_account, make_user, reload_user
from tests.problems import read_problem
from tests.statements import record_statements

LOGIN = "/api/v1/auth/login"
SIGN_UP = "/api/v1/auth/signup"
WRONG = f"{PASSWORD}!"


async def log_in(
    client: AsyncClient, username: str, password: str = PASSWORD, *, user_agent: str = "tests"
) -> Response:
    form = {"username": username, "password": password}
    return await client.post(LOGIN, data=form, headers={"User-Agent": user_agent})


async def count_tries(client: AsyncClient, username: str) -> int:
    """Guess until the answer is 429; return how many guesses were answered 401."""
    for count in range(100):
        answer = await log_in(client, username, WRONG)
        if answer.status_code == 429:
            return count
        read_problem(answer, 401, "invalid_credentials")
    raise AssertionError("no limit")


USERNAMES = ("ada@example.com", "nobody@example.com", "invited@example.com", "no address", "\0")


@pytest.fixture
async def _accounts(session: AsyncSession) -> None:
    await make_user(session, email="ada@example.com")
    await make_user(session, email="invited@example.com", hashed_password=NO_PASSWORD)
    await make_user(session, email="inactive@example.com", is_active=False)


@pytest.mark.usefixtures("_accounts")
@pytest.mark.parametrize("username", [*USERNAMES, "inactive@example.com"])
async def test_asvs_6_3_1_guesses_are_limited_whether_or_not_the_account_exists(
    client: AsyncClient, username: str
) -> None:
    assert await count_tries(client, username) == 5
    answer = await log_in(client, username, PASSWORD)
    problem = read_problem(answer, 429, "too_many_requests")
    assert problem["detail"] == "There were too many attempts; try again later."
    assert 50 < int(answer.headers["retry-after"]) <= 60


@pytest.mark.usefixtures("_accounts")
async def test_limited_login_hashes_nothing(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await count_tries(client, "ada@example.com")
    monkeypatch.setattr(HASHER, "verify_and_update", None)
    read_problem(await log_in(client, "ada@example.com"), 429, "too_many_requests")


@pytest.mark.usefixtures("_accounts")
async def test_limit_passes_with_time(client: AsyncClient, session: AsyncSession) -> None:
    await count_tries(client, "ada@example.com")
    await let_time_pass(session, "1 minute")
    assert (await log_in(client, "ADA@example.com")).status_code == 200


@pytest.mark.usefixtures("_accounts")
async def test_success_uses_nothing_up(client: AsyncClient) -> None:
    for _ in range(60):
        assert (await log_in(client, "ada@example.com")).status_code == 200
    assert await count_tries(client, "ada@example.com") == 5


@pytest.mark.usefixtures("_accounts")
async def test_asvs_6_1_1_nobody_locks_the_owner_out(app: FastAPI, session: AsyncSession) -> None:
    home, elsewhere = new_client(app, "2001:db8::1"), new_client(app, "203.0.113.1")
    assert (await log_in(home, "ada@example.com")).status_code == 200
    refused = []
    for network in range(5):
        attacker = new_client(app, f"192.0.2.{network}")
        refused.append(await count_tries(attacker, "ada@example.com"))
    assert refused == [5, 5, 5, 5, 0]
    answer = await log_in(elsewhere, "ada@example.com")
    read_problem(answer, 429, "too_many_requests")
    assert 590 < int(answer.headers["retry-after"]) <= 600
    # From the same /64, with another address.
    home = new_client(app, "2001:db8::2")
    assert (await log_in(home, "ada@example.com")).status_code == 200
    await session.exec(update(LoginSession).values(expires_at=col(LoginSession.created_at)))
    await session.commit()
    read_problem(await log_in(home, "ada@example.com"), 429, "too_many_requests")


@pytest.mark.parametrize(
    "address_of", ["192.0.2.1".format, "2001:db8::{}".format, "::ffff:192.0.2.1".format]
)
async def test_asvs_6_3_1_one_password_for_many_accounts_is_limited(
    app: FastAPI, address_of: Callable[[int], str]
) -> None:
    for count in range(100):
        attacker = new_client(app, address_of(count))
        answer = await log_in(attacker, f"user{count}@example.com")
        if answer.status_code == 429:
            break
        read_problem(answer, 401, "invalid_credentials")
    assert 50 <= count <= 60  # and one more for every 3 seconds that it took
    assert int(answer.headers["retry-after"]) <= 3


async def test_sign_up_is_limited_for_each_mailbox(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    for number in range(3):
        answer = await client.post(SIGN_UP, json=make_account(f"ada+{number}@example.com"))
        assert answer.status_code == 201
    other = new_client(app, "192.0.2.1")
    answer = await other.post(SIGN_UP, json=make_account("ADA@example.com"))
    read_problem(answer, 429, "too_many_requests")
    assert 1190 < int(answer.headers["retry-after"]) <= 1200
    await let_time_pass(session, "20 minutes")
    answer = await client.post(SIGN_UP, json=make_account())
    assert answer.status_code == 201


async def test_sign_up_is_limited_for_each_network(client: AsyncClient) -> None:
    for count in range(100):
        body = make_account(f"u{count}@example.com", password="p" * 15)
        answer = await client.post(SIGN_UP, json=body)
        if answer.status_code == 429:
            break
        read_problem(answer, 422, "unprocessable_content")
    assert 50 <= count <= 60  # and one more for every 3 seconds that it took


async def test_change_password_limits_guesses_of_the_current_one(
    user_client: AsyncClient, session: AsyncSession
) -> None:
    body = {"current_password": WRONG, "new_password": f"new {PASSWORD}"}
    path = "/api/v1/users/me/password"
    statuses = [(await user_client.put(path, json=body)).status_code for _ in range(6)]
    assert statuses == [400] * 5 + [429]
    right = body | {"current_password": PASSWORD}
    read_problem(await user_client.put(path, json=right), 429, "too_many_requests")
    await let_time_pass(session, "1 minute")
    assert (await user_client.put(path, json=right)).status_code == 204


async def test_asvs_6_3_8_login_does_the_same_work_whoever_is_named(
    live_app: FastAPI, live_session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(live_session, email="ada@example.com")
    await make_user(live_session, email="invited@example.com", hashed_password=NO_PASSWORD)
    await make_user(live_session, email="inactive@example.com", is_active=False)
    hasher = live_app.state.hasher
    hashed: list[Secret[str]] = []
    verify = hasher.verify_and_update

    async def record(password: Secret[str], hashed_password: str) -> Any:
        hashed.append(password)
        return await verify(password, hashed_password)

    monkeypatch.setattr(hasher, "verify_and_update", record)
    tries = [*((username, WRONG) for username in USERNAMES), ("inactive@example.com", PASSWORD)]
    work = {}
    async with new_client(live_app) as client:
        for username, password in tries:
            hashed.clear()
            with record_statements() as statements:
                answer = await log_in(client, username, password)
            problem = read_problem(answer, 401, "invalid_credentials") | {"request_id": None}
            headers = {**answer.headers, "x-request-id": None}
            work[username] = (problem, headers, len(hashed), [each.sql for each in statements])
    assert all(each == work["ada@example.com"] for each in work.values())
    assert work["ada@example.com"][2] == 1


def hash_with_bcrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()


@pytest.mark.parametrize("outdate", [hash_with_bcrypt, Argon2Hasher(2, 16, 1).hash])
async def test_asvs_11_4_2_outdated_hash_is_new_after_a_login(
    client: AsyncClient, session: AsyncSession, outdate: Callable[[str], str]
) -> None:
    user = await make_user(session, hashed_password=(old := outdate(PASSWORD)))
    assert (await log_in(client, user.email, WRONG)).status_code == 401
    assert (await reload_user(session, user)).hashed_password == old
    assert (await log_in(client, user.email)).status_code == 200
    assert (await reload_user(session, user)).hashed_password.startswith("$argon2id$v=19$m=8,")
    assert (await log_in(client, user.email)).status_code == 200
    assert (await log_in(client, user.email, WRONG)).status_code == 401


async def find_notices(session: AsyncSession) -> list[Mapping[str, Any]]:
    notices = await session.exec(select(Outbox.payload).where(Outbox.kind == "new_login"))
    return list(notices)


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0) AppleWebKit/605.1.15 Safari/604.1"


@pytest.mark.parametrize(
    ("address", "user_agent", "is_told"),
    [
        ("192.0.2.1", FIREFOX, False),
        ("192.0.2.1", FIREFOX.replace("140", "141"), False),
        ("192.0.2.1", SAFARI, True),
        ("198.51.100.7", FIREFOX, True),
        ("198.51.100.7", SAFARI, True),
        ("2001:db8::1", "", True),
    ],
)
async def test_asvs_6_3_5_login_from_a_new_place_is_told(
    app: FastAPI, session: AsyncSession, address: str, user_agent: str, *, is_told: bool
) -> None:
    user, other = await make_user(session), await make_user(session)
    home = new_client(app, "192.0.2.1")
    assert (await log_in(home, user.email, user_agent=FIREFOX)).status_code == 200
    away = new_client(app, address)
    assert (await log_in(away, other.email, user_agent=user_agent)).status_code == 200
    assert await find_notices(session) == []  # the first login of each
    assert (await log_in(away, user.email, WRONG, user_agent=user_agent)).status_code == 401
    assert await find_notices(session) == []
    for _ in range(2):
        assert (await log_in(away, user.email, user_agent=user_agent)).status_code == 200
    notice = {"user_id": str(user.id), "address": address, "user_agent": user_agent or None}
    assert await find_notices(session) == [notice] * is_told


async def test_known_devices_keep_when_they_were_used(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await make_user(session)
    await log_in(client, user.email)
    await session.exec(update(KnownDevice).values(last_used_at=user.created_at.replace(year=2020)))
    await session.commit()
    await log_in(client, user.email)
    used = list(await session.exec(select(KnownDevice.last_used_at)))
    assert len(used) == 2
    assert {instant.year for instant in used}.isdisjoint({2020})


# As if the server ended while it commits a login.
LOSE = """CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"""
LOSE_COMMIT = """CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON login_session
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()"""


async def test_login_that_the_service_could_not_decide_costs_nothing(
    live_client: AsyncClient, live_session: AsyncSession
) -> None:
    await make_user(live_session, email="ada@example.com")
    await run(live_session, LOSE, LOSE_COMMIT)
    try:
        for _ in range(6):
            answer = await log_in(live_client, "ada@example.com")
            read_problem(answer, 503, "outcome_unknown")
    finally:
        await run(live_session, "DROP FUNCTION lose CASCADE")
    assert await count_tries(live_client, "ada@example.com") == 5


async def run(session: AsyncSession, *statements: str) -> None:
    for statement in statements:
        await (await session.connection()).execute(text(statement))
    await session.commit()
