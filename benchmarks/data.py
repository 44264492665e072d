"""The rows that are measured on: users and items by number, made by the database itself.

What can be computed from a number (ids, tokens, addresses) need not be asked for, so that any
user of any data set can be called.
"""

import uuid
from dataclasses import dataclass
from hashlib import md5
from ipaddress import IPv4Address
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL

from app.database.url import libpq_uri

PASSWORD = "correct horse battery staple"  # noqa: S105  # of users who exist for minutes

_ROOT = Path(__file__).parents[1]
# The foreign keys hold by construction, and are not checked row by row.
# The tokens were used in the future: no request finds that their use is to be written down again.
_ROWS = """
SET session_replication_role = replica;
INSERT INTO "user" (id, email, is_active, is_superuser, full_name, created_at, updated_at,
                    hashed_password)
    SELECT md5('user' || n)::uuid, 'bench' || n || '@example.com', true, n = 0, 'User ' || n,
           now() - n * interval '1 second', now(), {password}
    FROM generate_series(0, {users} - 1) AS n;
INSERT INTO item (id, owner_id, title, description, created_at, updated_at)
    SELECT md5('item' || n)::uuid, md5('user' || n % {users})::uuid, 'Title of item ' || n,
           'What there is to say about item ' || n, now() - n * interval '1 second', now()
    FROM generate_series(0, {items} - 1) AS n;
INSERT INTO login_session (id, user_id, token_hash, created_at, last_used_at, authenticated_at,
                           expires_at, address, user_agent)
    SELECT gen_random_uuid(), md5('user' || n % {users})::uuid,
           sha256(('ust_' || lpad(n::text, 43, '0'))::bytea),
           now(), now() + interval '1 day', now(), now() + interval '30 days',
           host('10.0.0.0'::inet + n % {users}), NULL
    FROM generate_series(0, {sessions} - 1) AS n;
INSERT INTO known_device (user_id, fingerprint, last_used_at)
    SELECT md5('user' || n)::uuid, sha256(place), now()
    FROM generate_series(0, {users} - 1) AS n,
         LATERAL (VALUES ('device\\000'::bytea),
                         ('network\\000'::bytea || host('10.0.0.0'::inet + n)::bytea)) AS t (place);
INSERT INTO email_token (token_hash, user_id, purpose, email, created_at, expires_at)
    SELECT sha256(n::text::bytea), md5('user' || n)::uuid, 'email_verification',
           'bench' || n || '@example.com', now(), now() + interval '1 day'
    FROM generate_series(0, {users} - 1) AS n;
INSERT INTO rate_limit (key_hash, arrival_at)
    SELECT sha256(('limit' || n)::bytea), now() FROM generate_series(0, {users} - 1) AS n;
INSERT INTO outbox (id, kind, payload, created_at, run_at, attempts, sent_at)
    SELECT gen_random_uuid(), 'new_login', '{{}}', now(), now(), 1, now()
    FROM generate_series(0, {users} - 1) AS n;
"""
# An index is built in a fraction of the time that it takes to keep it up to date meanwhile.
_INDEXES = """
SELECT format('DROP INDEX %I', c.relname), pg_get_indexdef(c.oid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid IN ('item'::regclass, '"user"'::regclass) AND NOT i.indisprimary
UNION ALL
SELECT format('ALTER TABLE item DROP CONSTRAINT %I', conname),
       format('ALTER TABLE item ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid = 'item'::regclass AND contype = 'p'
"""


@dataclass(frozen=True)
class Size:
    """How many rows there are."""

    items: int
    items_per_user: int = 25  # a page of 20, and more behind it
    sessions_per_user: int = 1

    @property
    def users(self) -> int:
        return self.items // self.items_per_user


# Of 10 thousand and of a million users: `--large`.
LARGE = [Size(items, 10, 2) for items in (100_000, 10_000_000)]


def user_id(number: int) -> uuid.UUID:
    return uuid.UUID(md5(b"user%d" % number, usedforsecurity=False).hexdigest())


def item_id(number: int) -> uuid.UUID:
    """Return the id of an item; its owner's number is the item's, modulo the number of users."""
    return uuid.UUID(md5(b"item%d" % number, usedforsecurity=False).hexdigest())


def email(number: int) -> str:
    return f"bench{number}@example.com"


def address(number: int) -> str:
    """Return from where a user signs in, with a client that does not tell its name."""
    return str(IPv4Address("10.0.0.0") + number)


def token(number: int) -> str:
    """Return the access token of a user; number 0 is the superuser."""
    return f"ust_{number:043}"


def create_database(server: URL, size: Size, hashed_password: str) -> URL:
    """Create a database of this size, with the tables and indexes of production."""
    name = f"items_{size.items}"
    url = server.set(drivername="postgresql+psycopg", database=name)
    with psycopg.connect(libpq_uri(server), autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        connection.execute(create)
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migration").replace("%", "%%"))
    shown = url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", shown.replace("%", "%%"))
    command.upgrade(config, "head")
    fill(url, size, hashed_password)
    return url


def fill(url: URL, size: Size, hashed_password: str) -> None:
    """Write the rows into a migrated, empty database, which is vacuumed then."""
    rows = sql.SQL(_ROWS).format(
        items=size.items,
        users=size.users,
        sessions=size.users * size.sessions_per_user,
        password=hashed_password,
    )
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        indexes = connection.execute(_INDEXES).fetchall()
        for drop, _ in indexes:
            connection.execute(drop)
        connection.execute(rows)
        for _, create in indexes:
            connection.execute(create)
        connection.execute("VACUUM (ANALYZE, FREEZE)")
        connection.execute("CHECKPOINT")
