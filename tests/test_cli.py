import asyncio
import json
import re
from functools import partial
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from sqlalchemy import URL

from app.cli.greeting import describe_first_steps
from app.cli.main import cli
from app.database.tables import load_models
from app.database.url import libpq_uri
from app.mail.outlet import MailRefused
from tests.commands import (
    IN_PRODUCTION,
    NOWHERE,
    Done,
    Run,
    create_superuser,
    database,
    query,
    run,
)
from tests.factories import PASSWORD
from tests.servers import running_app
from tests.smtp_server import running_smtp_server

__all__ = ["database", "run"]  # fixtures


def add_superuser(run: Run, url: URL, *, email: str = "ada@example.com") -> Done:
    return run(*create_superuser(email), stdin=f"{PASSWORD}\n", DATABASE_URL=libpq_uri(url))


def test_create_superuser_adds_one(run: Run, database: URL) -> None:
    assert add_superuser(run, database, email="Ada@Example.com").code == 0
    users = query(database, 'SELECT email, is_superuser, is_active FROM "user"')
    assert users == [("ada@example.com", True, True)]


def test_create_superuser_refuses_a_taken_address(run: Run, database: URL) -> None:
    add_superuser(run, database)
    again = add_superuser(run, database)
    assert again.code == "app: Another user already has this e-mail address."
    assert query(database, 'SELECT count(*) FROM "user"') == [(1,)]


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "String should have at least 15 characters"),
        ("ada@example.com", "Should not be made of your name or address"),
    ],
)
def test_create_superuser_refuses_a_weak_password(
    run: Run, database: URL, password: str, reason: str
) -> None:
    done = run(*create_superuser(), stdin=f"{password}\n", DATABASE_URL=libpq_uri(database))
    assert str(done.code).startswith(f"app: password: {reason}")


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")  # there is no terminal
def test_create_superuser_takes_fields_of_sign_up(run: Run, database: URL) -> None:
    others = [each for each in create_superuser() if each != "--password-stdin"]
    arguments = (*others, "--field", "full_name=Ada = Countess")
    stdin, url = f"{PASSWORD}\n{PASSWORD}\n", libpq_uri(database)
    assert run(*arguments, stdin=stdin, DATABASE_URL=url).code == 0
    assert query(database, 'SELECT full_name FROM "user"') == [("Ada = Countess",)]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("full_name", "app: --field full_name: it looks like --field full_name=Ada"),
        ("shoe=44", "app: shoe: Extra inputs are not permitted"),
    ],
)
def test_create_superuser_refuses_a_wrong_field(run: Run, field: str, message: str) -> None:
    assert run(*create_superuser(), "--field", field, stdin=f"{PASSWORD}\n").code == message


def test_create_superuser_needs_a_migrated_database(run: Run, empty_database: URL) -> None:
    code = add_superuser(run, empty_database).code
    assert code == "app: The database has no revision; run `alembic upgrade head`"


def test_worker_needs_a_migrated_database(run: Run, empty_database: URL) -> None:
    code = run("worker", DATABASE_URL=libpq_uri(empty_database)).code
    assert code == "app: The database has no revision; run `alembic upgrade head`"


def test_openapi_is_json(run: Run) -> None:
    assert "/api/v1/users/me" in json.loads(run("openapi").output)["paths"]


def test_routes_says_who_may_call_what(run: Run) -> None:
    lines = [line.split(maxsplit=2) for line in run("routes").output.splitlines()]
    assert ["POST", "/api/v1/auth/login", "anyone"] in lines
    assert ["GET", "/api/v1/users/me", "user"] in lines
    assert ["DELETE", "/api/v1/users/me", "user, recent login"] in lines
    assert ["GET", "/api/v1/users", "users:read"] in lines
    assert ["DELETE", "/api/v1/users/{user_id}", "users:write, recent login"] in lines


def test_schema_shows_every_table(run: Run) -> None:
    output = run("schema").output
    assert all(f"    {name} {{\n" in output for name in load_models().tables)
    assert "    user ||--o{ login_session : user_id" in output
    assert '        timestamp_with_time_zone email_verified_at "optional"' in output


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("what", "DATABASE_URL is malformed; it looks like postgresql://"),
        ("postgresql://host:port/x", "DATABASE_URL is malformed; it looks like postgresql://"),
        ("mysql://root@localhost/app", "DATABASE_URL is of the kind 'mysql'"),
        ("sqlite:///app.db", "the service needs PostgreSQL; SQLite serves only Alembic"),
        (NOWHERE, "the database cannot be used: connection"),
    ],
)
def test_run_refuses_a_database_in_one_line(run: Run, url: str, message: str) -> None:
    code = run("run", "--port", "0", DATABASE_URL=url).code
    assert str(code).startswith(f"app: {message}")


def test_run_needs_a_database_in_production(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    code = str(run("run", "--port", "0", ENVIRONMENT="production").code)
    assert "DATABASE_URL is required in production: postgresql://" in code


def test_run_names_each_wrong_setting(run: Run) -> None:
    wrong = {"ENVIRONMENT": "staging", "DATABASE_POOL_SIZE": "0"}
    code = str(run("run", "--port", "0", **wrong).code)
    assert [line.partition(":")[0] for line in code.removeprefix("app: ").splitlines()] == [
        "ENVIRONMENT",
        "DATABASE_POOL_SIZE",
    ]


def test_run_refuses_a_database_that_is_behind(run: Run, empty_database: URL) -> None:
    url = libpq_uri(empty_database)
    code = run("run", "--port", "0", "--no-migrate", DATABASE_URL=url).code
    assert code == "app: The database has no revision; run `alembic upgrade head`"


def test_run_refuses_a_database_that_is_ahead(run: Run, database: URL) -> None:
    with psycopg.connect(libpq_uri(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'newer'")
    url = libpq_uri(database)
    code = run("run", "--port", "0", "--no-migrate", DATABASE_URL=url).code
    assert str(code).startswith("app: The database is at newer, which this release does not know")
    code = run("run", "--port", "0", DATABASE_URL=url).code
    assert "If that is where the database is, a newer release has migrated it" in str(code)
    assert "or `make reset` makes the development database anew. If it was another app" in str(code)


def test_run_starts_on_a_newer_database_if_told_to(database: URL) -> None:
    with psycopg.connect(libpq_uri(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'newer'")
    url = libpq_uri(database)
    with (
        running_app("--no-migrate", DATABASE_URL=url, NEWER_DATABASE="true") as server,
        urlopen(f"{server.url}/readyz", timeout=10) as answer,  # noqa: S310  # our own server
    ):
        assert answer.status == 200


def test_run_says_what_to_open_and_what_to_do_first(database: URL) -> None:
    address = "http://127.0.0.1:8123"  # where people reach it, wherever it listens
    with running_app(DATABASE_URL=libpq_uri(database), PUBLIC_URL=address) as server:
        printed = server.printed
    assert f"API docs:   {address}/docs\n" in printed
    assert f"Pages:      {address}/\n" in printed
    assert re.search(r"^Superuser:  \S*app create-superuser \S+@\S+$", printed, re.MULTILINE)
    assert "Mail:       printed here\n" in printed
    steps = describe_first_steps(address, "mail.example.com")
    assert "Mail:       handed to mail.example.com" in [*steps]


def test_run_prints_events_alone_in_production(database: URL) -> None:
    given: dict[str, Any] = {**IN_PRODUCTION, "ENVIRONMENT": "production", "MAIL_WORKER": "false"}
    with running_app(**given, DATABASE_URL=libpq_uri(database)) as server:
        first, *others = map(json.loads, server.printed.splitlines())
    assert first["event"] == "starting"
    assert (first["address"], first["database"]) == (given["PUBLIC_URL"], database.database)
    assert all(each["event"] for each in others)


def test_create_superuser_stores_an_international_address_in_ascii(run: Run, database: URL) -> None:
    done = add_superuser(run, database, email=" Ada@München.example ")
    assert done.output == "ada@xn--mnchen-3ya.example is a superuser\n"
    stored = query(database, 'SELECT email FROM "user"')
    assert stored == [("ada@xn--mnchen-3ya.example",)]
    again = add_superuser(run, database, email="ada@münchen.example")
    assert again.code == "app: Another user already has this e-mail address."


def test_send_test_mail_says_what_came_of_it(run: Run) -> None:
    printed = run("send-test-mail", "Ada@Example.com")
    assert "  | To: ada@example.com" in printed.output
    assert printed.output.endswith("printed, since SMTP_URL is not set\n")
    assert run("send-test-mail", "ada").code == "app: ada is no address"
    done = run("send-test-mail", "ada@example.com", SMTP_URL="smtp://127.0.0.1:1?tls=off")
    assert str(done.code).startswith("app: the mail was not taken: ")


async def test_send_test_mail_hands_it_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_smtp_server() as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        send = partial(cli, ["send-test-mail", "ada@example.com"], standalone_mode=False)
        await asyncio.to_thread(send)
        server.answers["RCPT"] = "550 5.7.26 no SPF"
        with pytest.raises(MailRefused, match=r"^550 5\.7\.26 no SPF$"):
            await asyncio.to_thread(send)
    (mail,) = server.messages
    assert mail["Subject"] == "A mail to try"
