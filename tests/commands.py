"""The `app` command in this process: what it prints, and how it ends."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import psycopg
import pytest
from alembic import command
from sqlalchemy import URL

from app.cli.main import main
from app.database.url import libpq_uri
from app.settings import Settings
from tests.databases import alembic_config
from tests.factories import make_account

# What production requires besides the database.
IN_PRODUCTION = {
    "PUBLIC_URL": "https://app.example.com",
    "SECOND_FACTOR_KEYS": "a" * 43 + "=",
    "SMTP_URL": "smtp://mail.example.com",
    "MAIL_FROM": "no-reply@example.com",
}
NOWHERE = "postgresql://postgres@127.0.0.1:1/app"


class Done(NamedTuple):
    code: str | int | None
    output: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `app` with arguments, standard input and environment variables."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Done:
        monkeypatch.setitem(Settings.model_config, "env_file", None)
        monkeypatch.setenv("PASSWORD_HASH_MEMORY", "8")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["app", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            main()
        return Done(exit_.value.code, capsys.readouterr().out)

    return run


@pytest.fixture
def database(create_database: Callable[[], URL]) -> URL:
    """A migrated database of the test's own."""
    url = create_database()
    command.upgrade(alembic_config(url), "head")
    return url


def create_superuser(email: str = "ada@example.com") -> list[str]:
    """Return the command, with whatever sign-up requires beside a password from `stdin`."""
    given = make_account(email)
    others = [
        f"--field={name}={given[name]}" for name in given if name not in {"email", "password"}
    ]
    return ["create-superuser", email, "--password-stdin", *others]


def query(url: URL, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(libpq_uri(url)) as connection:
        return connection.execute(statement.encode()).fetchall()
