"""Least privilege: what the roles of migration/roles.sql may do, and may not."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import URL, text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.engine import SERVER_SETTINGS
from app.database.url import libpq_uri
from tests.auth.test_authorization import CALLERS, DECISIONS, Cast, cast
from tests.databases import alembic_config
from tests.servers import ROOT

__all__ = ["cast"]  # a fixture

ROLES = ("app_owner", "app_service")


@pytest.fixture(scope="module")
def roles() -> dict[str, str]:
    """The script's roles, by names that no other test of the server uses."""
    return {role: f"{role}_{uuid4().hex[:8]}" for role in ROLES}


@pytest.fixture(scope="module")
def database_url(
    create_database: Callable[[], URL], roles: dict[str, str]
) -> Iterator[Callable[[str], URL]]:
    """The URL of a migrated database, as each of the roles."""
    url = create_database()

    def as_role(role: str) -> URL:
        return url.set(username=roles[role], password="a password of the tests")

    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        run_script(connection, roles)
        for role in roles.values():
            statement = sql.SQL("ALTER ROLE {} PASSWORD 'a password of the tests'")
            connection.execute(statement.format(sql.Identifier(role)))
        command.upgrade(alembic_config(as_role("app_owner")), "head")
        run_script(connection, roles)
        yield as_role
        for role in roles.values():
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def run_script(connection: psycopg.Connection, roles: dict[str, str]) -> None:
    script = (ROOT / "migration" / "roles.sql").read_text()
    for role, name in roles.items():
        script = script.replace(role, name)
    connection.execute(script.encode())


@pytest.fixture(scope="module")
def migrated_database(database_url: Callable[[str], URL]) -> URL:
    """Have the application of this module's tests sign in as the service."""
    return database_url("app_service")


async def test_asvs_13_2_2_every_route_works_as_the_service(
    cast: Cast, session: AsyncSession
) -> None:
    connection = await session.connection()
    user = await connection.scalar(text("SELECT session_user"))
    assert user.startswith("app_service")
    for route, decisions in DECISIONS.items():
        for caller, expected in zip(CALLERS, decisions, strict=True):
            async with connection.begin_nested() as savepoint:
                answer = await cast.call(route, caller)
                await savepoint.rollback()
            assert answer.status_code == expected, (route, caller, answer.text)


@pytest.mark.parametrize(
    "statement",
    [
        'DROP TABLE "user"',
        'TRUNCATE "user" CASCADE',
        'ALTER TABLE "user" ADD COLUMN x int',
        'CREATE INDEX ON "user" (id)',
        'ALTER TABLE "user" DISABLE TRIGGER ALL',
        "CREATE TABLE x (id int)",
        "CREATE TEMPORARY TABLE x (id int)",
        "CREATE SCHEMA x",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE x",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
        "UPDATE alembic_version SET version_num = 'x'",
        "SET ROLE app_owner",
    ],
)
def test_asvs_13_2_2_service_changes_no_schema(
    database_url: Callable[[str], URL], roles: dict[str, str], statement: str
) -> None:
    statement = statement.replace("app_owner", roles["app_owner"])
    as_service = psycopg.connect(libpq_uri(database_url("app_service")))
    with as_service, pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_service.execute(statement.encode())


def test_asvs_13_2_2_owner_migrates_there_and_back(database_url: Callable[[str], URL]) -> None:
    config = alembic_config(database_url("app_owner"))
    command.downgrade(config, "base")
    command.upgrade(config, "head")
    command.check(config)


@pytest.mark.parametrize(("name", "value"), SERVER_SETTINGS.items())
def test_service_has_its_limits_behind_a_pooler_too(
    database_url: Callable[[str], URL], name: str, value: str
) -> None:
    with psycopg.connect(libpq_uri(database_url("app_service"))) as connection:
        query = "SELECT setting FROM pg_settings WHERE lower(name) = %s"
        assert connection.execute(query, [name]).fetchone() == (value,)


def test_another_application_of_the_database_keeps_its_rights(
    create_database: Callable[[], URL],
) -> None:
    roles = {role: f"{role}_{uuid4().hex}" for role in (*ROLES, "other")}
    other = sql.Identifier(roles["other"])
    said: list[str] = []
    url = create_database()
    with psycopg.connect(libpq_uri(url), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(other))
        connection.execute("CREATE TABLE invoice (id int)")
        connection.execute(sql.SQL("ALTER TABLE invoice OWNER TO {}").format(other))
        for _ in range(2):
            run_script(connection, {role: roles[role] for role in ROLES})
        kept = f"relation public.invoice belongs to {roles['other']}"
        assert f"nothing is taken from PUBLIC: {kept}" in said
        assert f"GRANT USAGE ON SCHEMA public TO {roles['app_service']}" in said
        rights = "SELECT has_table_privilege({}, 'invoice', 'SELECT, INSERT, UPDATE, DELETE')"
        query = sql.SQL(rights).format(sql.Literal(roles["app_service"]))
        assert connection.execute(query).fetchone() == (False,)
        with psycopg.connect(libpq_uri(url.set(username=roles["other"]))) as as_other:
            as_other.execute("INSERT INTO invoice VALUES (1)")
            as_other.execute("CREATE TEMPORARY TABLE draft (id int)")
        for role in roles.values():
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
