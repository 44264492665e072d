"""Who may write the audit log, and who may delete from it."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.commands import Run, create_superuser, database, query, run
from tests.database.test_roles import database_url, roles
from tests.factories import PASSWORD

__all__ = ["database", "database_url", "roles", "run"]  # fixtures


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET outcome = 'x'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "SELECT FROM audit_event FOR UPDATE",
    ],
)
def test_asvs_16_4_2_service_can_only_add_events(
    database_url: Callable[[str], URL], statement: str
) -> None:
    as_service = psycopg.connect(libpq_uri(database_url("app_service")))
    with as_service, pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_service.execute(statement.encode())


ROWS = """
    INSERT INTO audit_event (id, created_at, kind, outcome, details)
    SELECT gen_random_uuid(), now() - n * interval '1 day', 'a', 'done', '{}'
    FROM generate_series(0, 40) AS n
"""


def test_owner_deletes_what_is_old(
    run: Run, database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.service.BATCH", 4)
    url = libpq_uri(database)
    with psycopg.connect(url) as connection:
        connection.execute(ROWS)
    done = run("purge-audit", "30", DATABASE_URL=url)
    assert (done.code, done.output.splitlines()[-1]) == (0, "11 deleted")
    assert query(database, "SELECT count(*) FROM audit_event") == [(30,)]
    assert run("purge-audit", "0", DATABASE_URL=url).code == 2


def test_commands_about_accounts_are_noted(run: Run, database: URL) -> None:
    url, typed = libpq_uri(database), f"{PASSWORD}\n"
    who = "ada@example.com"
    run(*create_superuser(who), stdin=typed, DATABASE_URL=url)
    run("reset-second-factors", who, DATABASE_URL=url)
    noted = query(
        database,
        'SELECT kind, outcome FROM audit_event JOIN "user" ON "user".id = user_id'
        " WHERE actor_id IS NULL ORDER BY audit_event.created_at",
    )
    assert noted == [("app create-superuser", "done"), ("app reset-second-factors", "done")]
