"""Limits on guessing and on nuisance, kept in PostgreSQL, hence one for all processes.

Each is the generic cell rate algorithm (ITU-T Recommendation I.371, annex A): a bucket is one
instant, its theoretical arrival time, which each use moves on. The database's clock counts.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    DateTime,
    Interval,
    LargeBinary,
    bindparam,
    exists,
    func,
    literal,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.auth.models import RateLimit
from app.database.session import Session
from app.database.statements import Statement
from app.database.transactions import Database
from app.web.errors import ServiceError, Unavailable

_CONNECTIONS = 2
_PATIENCE = 3  # seconds


class TooManyRequests(ServiceError):
    """There were too many attempts; try again later."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = max(1, ceil(retry_after.total_seconds()))


class Limit(NamedTuple):
    """As many uses as `burst` at once, and then one in each `interval`, for each key."""

    name: str
    burst: int
    interval: timedelta

    def use(self, *key: object) -> "Use":
        text = "\0".join([self.name, *map(str, key)])
        return Use(self, sha256(text.encode("utf-8", "backslashreplace")).digest())


class Use(NamedTuple):
    limit: Limit
    key_hash: bytes
    """The database shall not tell who has tried to sign in, or from where."""


PER_NETWORK = Limit("network", burst=50, interval=timedelta(seconds=3))
"""Signing in and up. A success gives its use back, so that a large office is not kept out."""
PER_ACCOUNT_AND_NETWORK = Limit("account+network", burst=5, interval=timedelta(minutes=1))
PER_ACCOUNT = Limit("account", burst=20, interval=timedelta(minutes=10))
"""Guesses from many networks. It does not hold where the account is signed in already: else anyone
could lock its owner out."""
PASSWORD_CHECKS = Limit("password", burst=5, interval=timedelta(minutes=1))
"""The current password, asked of somebody who is signed in; per account."""
SIGN_UPS_PER_MAILBOX = Limit("sign-up", burst=3, interval=timedelta(minutes=20))
LINKS_PER_MAILBOX = Limit("link", burst=3, interval=timedelta(minutes=20))
"""Mail that anybody may have sent to an address; for each kind of it."""
ADDRESS_CHANGES = Limit("address change", burst=5, interval=timedelta(minutes=20))
"""Per account: each may send mail to another stranger."""
MAIL_TOKENS_PER_NETWORK = Limit("mail token", burst=20, interval=timedelta(minutes=1))


def find_network(address: str | None) -> str:
    """Return what counts as one place: an IPv4 address, or an IPv6 network of 64 bits.

    Whoever has an IPv6 address has at least its /64 (RFC 6177), 2^64 addresses to choose from.
    What has no address, as behind a UNIX socket, is one place.
    """
    try:
        ip = ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(IPv6Address(int(ip) >> 64 << 64))


def find_mailbox(email: str) -> str:
    """Return the address without a tag: mail to `ada+tag@example.com` is mail to `ada@`."""
    local_part, _, domain = email.rpartition("@")
    return f"{local_part.partition('+')[0]}@{domain}"


class RateLimits:
    """The limits in the database, used up on a connection of their own.

    So what a refused request has used stays used when its transaction is rolled back. The caller's
    own session must hold no connection then, or a full pool would wait for itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Session]:
        """Wait for a session in AUTOCOMMIT that strangers may use, or raise `Unavailable`.

        They get a few at a time, so that in a flood the others are there for whoever is signed in.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable from None
        try:
            async with self._database.autocommit() as session:
                yield session
        finally:
            self._turns.release()

    async def consume(self, *uses: Use) -> None:
        """Use up all of them, or raise `TooManyRequests`.

        One that is used up keeps those behind it untouched: what one network tries in vain takes
        nothing from the account that it tries.
        """
        values: dict[str, Any] = {}
        for number, (limit, key_hash) in enumerate(uses):
            values[f"key_{number}"] = key_hash
            values[f"interval_{number}"] = limit.interval
            values[f"tolerance_{number}"] = limit.interval * (limit.burst - 1)
        async with self.turn() as session:
            answers = await session.fetch(_consume(len(uses)), **values)
        for number, is_used, wait, _ in sorted(answers):
            if not is_used:
                # A bucket that is not there yet was filled at this very moment.
                raise TooManyRequests(uses[number].limit.interval if wait is None else wait)


async def give_back(session: Session, uses: Sequence[Use]) -> None:
    """Undo `consume` in the session's transaction, since what it limits went well."""
    values: dict[str, Any] = {}
    for number, (limit, key_hash) in enumerate(uses):
        values[f"key_{number}"] = key_hash
        values[f"interval_{number}"] = limit.interval
    await session.fetch(_give_back(len(uses)), **values)


# As SQLAlchemy's own type: SQLModel's takes whatever is added or compared for an instant too.
_arrival_at = type_coerce(RateLimit.arrival_at, DateTime(timezone=True))


@cache
def _consume(count: int) -> Statement[tuple[int, bool, timedelta | None, str]]:
    """Build the one statement; it returns the number of each use, whether it passed, the wait."""
    # For this statement's transaction alone: a crash may forget the last attempts, and none of
    # them waits for the disk, which takes longer than all else.
    not_durable = func.set_config("synchronous_commit", "off", True)  # noqa: FBT003  # is_local
    ctes: list[CTE] = []
    for number in range(count):
        ctes.append(_consume_one(number, after=ctes[-1] if ctes else None))
    return Statement(
        union_all(
            *(
                select(literal(number), exists(select(cte)), _find_wait(number), not_durable)
                for number, cte in enumerate(ctes)
            )
        )
    )


def _consume_one(number: int, *, after: CTE | None) -> CTE:
    """Move the instant on, unless it is too far ahead; PostgreSQL decides once it has the row."""
    now = func.clock_timestamp()
    interval = bindparam(f"interval_{number}", type_=Interval)
    first = select(bindparam(f"key_{number}", type_=LargeBinary), now + interval)
    if after is not None:
        first = first.where(exists(select(after)))
    new = insert(RateLimit).from_select(["key_hash", "arrival_at"], first)
    return (
        new.on_conflict_do_update(
            index_elements=[col(RateLimit.key_hash)],
            set_={"arrival_at": func.greatest(_arrival_at, now) + interval},
            where=_arrival_at - bindparam(f"tolerance_{number}", type_=Interval) <= now,
        )
        .returning(col(RateLimit.arrival_at))
        .cte(f"use_{number}")
    )


def _find_wait(number: int) -> Any:
    tolerance = bindparam(f"tolerance_{number}", type_=Interval)
    key = bindparam(f"key_{number}", type_=LargeBinary)
    wait = select(_arrival_at - tolerance - func.clock_timestamp())
    return wait.where(col(RateLimit.key_hash) == key).scalar_subquery()


@cache
def _give_back(count: int) -> Statement[int]:
    """Build the one statement; it locks the rows as `consume` does, so that none waits for a ring.

    Each use asks for the number of rows before it, which is known once those are written.
    """
    ctes: list[CTE] = []
    for number in range(count):
        interval = bindparam(f"interval_{number}", type_=Interval)
        one = update(RateLimit).where(col(RateLimit.key_hash) == bindparam(f"key_{number}"))
        if ctes:
            one = one.where(select(func.count()).select_from(ctes[-1]).scalar_subquery() >= 0)
        one = one.values(arrival_at=_arrival_at - interval).returning(col(RateLimit.key_hash))
        ctes.append(one.cte(f"use_{number}"))
    return Statement(select(func.count()).select_from(ctes[-1]))
