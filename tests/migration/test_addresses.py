"""The revision that puts the ASCII form in place of international domains, on a live database."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.util import CommandError
from psycopg.errors import CheckViolation
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.databases import alembic_config

BEFORE, AFTER = "1ddaa8554cad", "1eef6ac131f2"
ASCII = "ada@xn--mnchen-3ya.example"
Connection = psycopg.Connection[Any]


@pytest.fixture
def rows(empty_database: URL) -> Iterator[Connection]:
    """A connection to a database that the earlier release has filled."""
    command.upgrade(alembic_config(empty_database), BEFORE)
    with psycopg.connect(libpq_uri(empty_database), autocommit=True) as connection:
        yield connection


def add_user(rows: Connection, email: str) -> UUID:
    add = 'INSERT INTO "user" (id, email, hashed_password) VALUES (%s, %s, %s)'
    rows.execute(add, (user_id := uuid4(), email, "!"))
    return user_id


def read_emails(rows: Connection, table: str = "user") -> set[str]:
    return {email for (email,) in rows.execute(f'SELECT email FROM "{table}"'.encode())}


def test_international_addresses_are_mended_and_kept_so(
    rows: Connection, empty_database: URL
) -> None:
    ordinary = {f"{'a' * 65}@example.com", "o'hara+%_{tag}~@example.com"}
    for each in ordinary:
        add_user(rows, each)
    ada = add_user(rows, "ada@münchen.example")
    add_user(rows, "ada@straße.internal")
    token = "INSERT INTO email_token VALUES (%s, %s, 'email_change', %s, now(), now())"
    rows.execute(token, (b"x" * 32, ada, "ada@bücher.example"))
    command.upgrade(alembic_config(empty_database), AFTER)
    mended = {ASCII, "ada@xn--strae-oqa.internal"}
    assert read_emails(rows) == ordinary | mended
    assert read_emails(rows, "email_token") == {"ada@xn--bcher-kva.example"}
    with pytest.raises(CheckViolation, match="ck_user_email_is_ascii"):
        add_user(rows, "ada@münchen.example")
    with pytest.raises(CheckViolation, match="ck_email_token_email_is_ascii"):
        rows.execute(token, (b"y" * 32, ada, "ada@bücher.example"))


def test_rows_that_cannot_be_mended_are_named_and_kept(
    rows: Connection, empty_database: URL
) -> None:
    config = alembic_config(empty_database)
    taken, invalid = add_user(rows, "ada@münchen.example"), add_user(rows, "ädä@example.com")
    mended = add_user(rows, "zoe@münchen.example")
    add_user(rows, ASCII)
    with pytest.raises(CommandError, match="Correct or delete these rows") as refused:
        command.upgrade(config, AFTER)
    said = str(refused.value)
    assert f"user.id {taken}: another row has the same address, in ASCII" in said
    assert f"user.id {invalid}: the address has no ASCII form" in said
    assert str(mended) not in said
    assert read_emails(rows) >= {"ada@münchen.example", "ädä@example.com"}
    add_user(rows, "late@münchen.example")  # the earlier release serves on
    rows.execute('DELETE FROM "user" WHERE id = ANY(%s)', ([taken, invalid],))
    command.upgrade(config, AFTER)
    assert read_emails(rows) == {
        f"{name}@xn--mnchen-3ya.example" for name in ("ada", "zoe", "late")
    }
