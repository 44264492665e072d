"""Demo data in quantity, written with COPY."""

import random
import secrets
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from sqlalchemy import URL

from app.database.url import libpq_uri

_USERS_AT_A_TIME = 100
_GIVEN = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Ken", "Radia", "Tim")
_FAMILY = ("Allen", "Hopper", "Knuth", "Lamport", "Liskov", "Lovelace", "Perlman", "Turing")
_VERBS = ("Buy", "Call", "Draw", "Fix", "Learn", "Paint", "Read", "Repair", "Return", "Write")
_THINGS = ("the bicycle", "a letter", "the roof", "the report", "some milk", "the garden", "a book")

_COPY_USERS = """COPY "user" (id, email, full_name, hashed_password, is_active, is_superuser,
    created_at, updated_at) FROM STDIN"""
_COPY_ITEMS = "COPY item (id, owner_id, title, description, created_at, updated_at) FROM STDIN"


def seed(url: URL, *, users: int, items_per_user: int, hashed_password: str) -> Iterator[str]:
    """Add users who all have one password, with items of the last year.

    Yields the address of each user once it is stored; a hundred users are one transaction.
    """
    run = secrets.token_hex(3)
    emails = [f"demo-{run}-{number}@example.com" for number in range(1, users + 1)]
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        for start in range(0, users, _USERS_AT_A_TIME):
            owners = [(uuid.uuid4(), email) for email in emails[start : start + _USERS_AT_A_TIME]]
            with connection.transaction():
                _copy(connection, _COPY_USERS, (_user(*each, hashed_password) for each in owners))
                items = (_item(owner) for owner, _ in owners for _ in range(items_per_user))
                _copy(connection, _COPY_ITEMS, items)
            yield from (email for _, email in owners)


def _copy(
    connection: psycopg.Connection[Any], statement: LiteralString, rows: Iterable[tuple[Any, ...]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _user(user_id: uuid.UUID, email: str, hashed_password: str) -> tuple[Any, ...]:
    name, instant = f"{_pick(_GIVEN)} {_pick(_FAMILY)}", _instant()
    return user_id, email, name, hashed_password, True, False, instant, instant


def _item(owner_id: uuid.UUID) -> tuple[Any, ...]:
    title, instant = f"{_pick(_VERBS)} {_pick(_THINGS)}", _instant()
    return uuid.uuid4(), owner_id, title, None, instant, instant


def _pick(words: tuple[str, ...]) -> str:
    return random.choice(words)  # noqa: S311  # demo data, not a secret


def _instant() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=random.uniform(0, 365 * 86400))  # noqa: S311
