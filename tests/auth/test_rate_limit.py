import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.limits import Limit, Use, find_mailbox, find_network
from app.auth.models import RateLimit
from app.auth.rate_limit import RateLimits, TooManyRequests, give_back
from app.database.errors import OutcomeUnknown
from app.database.transactions import Database
from tests.factories import let_time_pass

FIVE = Limit("five", burst=5, interval=timedelta(minutes=1))
TEN = Limit("ten", burst=10, interval=timedelta(minutes=1))
MANY = Limit("many", burst=1000, interval=timedelta(minutes=1))
ONE = Limit("one", burst=1, interval=timedelta(minutes=1))


@pytest.fixture
def limits(database: Database) -> RateLimits:
    return RateLimits(database)


async def count_uses(limits: RateLimits, *uses: Use) -> int:
    """Use them up; return how often that went well."""
    for count in range(100):
        if await find_wait(limits, *uses):
            return count
    raise AssertionError("no limit")


async def find_wait(limits: RateLimits, *uses: Use) -> int | None:
    """Return the seconds to wait, or None if there was nothing to wait for."""
    try:
        await limits.consume(*uses)
    except TooManyRequests as refused:
        return refused.retry_after
    return None


async def test_consume_lets_a_burst_through_and_then_one_in_each_interval(
    limits: RateLimits, session: AsyncSession
) -> None:
    use = FIVE.use("ada")
    assert await count_uses(limits, use) == 5
    await let_time_pass(session, "60 seconds")
    assert await count_uses(limits, use) == 1
    await let_time_pass(session, "3 minutes")
    assert await count_uses(limits, use) == 3
    await let_time_pass(session, "10 days")
    assert await count_uses(limits, use) == 5


async def test_consume_tells_when_to_come_again(limits: RateLimits, session: AsyncSession) -> None:
    use = FIVE.use("ada")
    assert await count_uses(limits, use) == 5
    assert await find_wait(limits, use) == 60
    await let_time_pass(session, "30 seconds")
    assert await find_wait(limits, use) == 30
    await let_time_pass(session, "29.5 seconds")
    assert await find_wait(limits, use) == 1
    await let_time_pass(session, "0.5 seconds")
    assert await find_wait(limits, use) is None
    assert await find_wait(limits, use) == 60


async def test_consume_counts_each_key_and_each_limit_apart(limits: RateLimits) -> None:
    assert await count_uses(limits, FIVE.use("ada", "x")) == 5
    for other in (FIVE.use("ada", "y"), FIVE.use("adax"), FIVE.use("x", "ada")):
        assert await count_uses(limits, other) == 5
    assert await count_uses(limits, TEN.use("ada", "x")) == 10


async def test_consume_takes_nothing_from_what_stands_behind_a_refusal(
    limits: RateLimits,
) -> None:
    behind = TEN.use("ada")
    assert await count_uses(limits, FIVE.use("ada"), behind) == 5
    await count_uses(limits, FIVE.use("ada"), behind)
    assert await count_uses(limits, behind) == 5


async def test_consume_tells_the_wait_of_what_refused(limits: RateLimits) -> None:
    rare = Limit("rare", burst=1, interval=timedelta(hours=2))
    assert await find_wait(limits, FIVE.use("ada"), rare.use("ada")) is None
    assert await find_wait(limits, FIVE.use("ada"), rare.use("ada")) == 7200


async def test_give_back_undoes_one_use(limits: RateLimits, session: AsyncSession) -> None:
    uses = [FIVE.use("ada"), TEN.use("ada")]
    assert await count_uses(limits, *uses) == 5
    await give_back(session, uses)
    await session.commit()
    assert await count_uses(limits, *uses) == 1


async def test_limits_tell_nobody_who_tried(limits: RateLimits, session: AsyncSession) -> None:
    await limits.consume(FIVE.use("ada@example.com", "192.0.2.1"))
    key_hash = (await session.exec(select(RateLimit.key_hash))).one()
    assert len(key_hash) == 32
    assert b"ada" not in key_hash


@pytest.fixture
async def many_limits(live_database: URL) -> AsyncIterator[RateLimits]:
    """Limits that sixteen connections can use up at the same time."""
    database = Database(live_database, pool_size=16)
    yield RateLimits(database)
    async with database.engine.begin() as connection:
        await connection.execute(RateLimit.__table__.delete())  # type: ignore[attr-defined]  # SQLModel's own
    await database.dispose()


async def test_consume_is_exact_when_sixteen_connections_try_at_once(
    many_limits: RateLimits,
) -> None:
    waits = await asyncio.gather(*(find_wait(many_limits, TEN.use("ada")) for _ in range(160)))
    assert waits.count(None) == 10
    assert all(0 < wait <= 60 for wait in waits if wait is not None)


async def test_first_use_is_exact_when_sixteen_connections_try_at_once(
    many_limits: RateLimits,
) -> None:
    for key in range(10):
        waits = await asyncio.gather(*(find_wait(many_limits, ONE.use(key)) for _ in range(16)))
        assert waits.count(None) == 1
        assert all(0 < wait <= 60 for wait in waits if wait is not None)


async def test_uses_and_their_return_never_wait_for_each_other_in_a_ring(
    many_limits: RateLimits,
) -> None:
    """PostgreSQL would end one of them with an error, after a second."""
    uses = [MANY.use("network"), MANY.use("account")]

    async def use_and_give_back() -> None:
        for _ in range(12):
            await many_limits.consume(*uses)
            async with many_limits._database.new_session() as session:  # noqa: SLF001
                await give_back(session, uses)
                await session.commit()

    await asyncio.gather(*(use_and_give_back() for _ in range(16)))
    assert await find_wait(many_limits, *uses) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::"),
        ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        (None, "unknown"),
        ("imported", "imported"),
    ],
)
def test_find_network_is_the_place_that_one_customer_has(address: str | None, network: str) -> None:
    assert find_network(address) == network


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ada+tag@example.com", "ada@example.com"),
        ("ada+a+b@example.com", "ada@example.com"),
        ("ada@exam+ple.com", "ada@exam+ple.com"),
    ],
)
def test_find_mailbox_leaves_out_the_tag(email: str, mailbox: str) -> None:
    assert find_mailbox(email) == mailbox


async def test_consume_keeps_its_connection(live_database: URL) -> None:
    """What it sets is for its own transaction, so the connection is as good as it was."""
    database = Database(live_database, pool_size=1)
    limits = RateLimits(database)

    async def get_process(session: AsyncSession) -> int:
        process: int = await (await session.connection()).scalar(select(func.pg_backend_pid()))
        return process

    before = await database.transact(get_process)
    await limits.consume(TEN.use("eve"))
    assert await database.transact(get_process) == before
    await database.dispose()


async def test_use_that_could_not_be_given_back_is_when_somebody_comes_next(
    live_app: FastAPI, live_session: AsyncSession
) -> None:
    limits: RateLimits = live_app.state.limits

    async def fail() -> None:
        async with limits.for_request() as mine:
            assert await count_uses(mine, FIVE.use("ada")) == 5
            await live_session.exec(select(RateLimit.key_hash).with_for_update())
            raise OutcomeUnknown

    with pytest.raises(OutcomeUnknown):
        await fail()
    await live_session.rollback()
    assert await count_uses(limits, FIVE.use("ada")) == 5
