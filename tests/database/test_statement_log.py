"""What LOG_SQL and SLOW_STATEMENT have the log say."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import URL, text

from app.main import create_app
from app.observability.logging import configure_logging
from app.settings import Settings
from tests.conftest import new_client
from tests.factories import PASSWORD, make_user, sign_in


def read_statements(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == "statement"]


def make_app(url: URL, **settings: Any) -> FastAPI:
    address = SecretStr(url.render_as_string(hide_password=False))
    app = create_app(Settings(_env_file=None, database_url=address, mail_worker=False, **settings))
    configure_logging(as_json=True, level="info")
    return app


async def test_every_statement_is_logged_without_its_parameters(
    live_app: FastAPI, live_database: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live_app is not None  # which empties the database afterwards
    body = {"email": "canary@example.com", "password": PASSWORD, "full_name": "Canary"}
    app = make_app(live_database, log_sql=True)
    async with app.router.lifespan_context(app), new_client(app) as client:
        async with app.state.database.new_session() as session:
            await sign_in(client, session, await make_user(session, email="own-canary@example.com"))
            await session.commit()
        capsys.readouterr()
        await client.post("/api/v1/auth/signup", json=body)
        await client.get("/api/v1/users/me")
        async with app.state.database.engine.begin() as connection:
            await (await connection.stream(text("SELECT 'streamed'"))).all()
        *statements, streamed = read_statements(capsys)
    assert streamed["sql"] == "SELECT 'streamed'"
    sql = [each["sql"] for each in statements]
    assert any(each.startswith('INSERT INTO "user"') for each in sql)
    assert any("token_hash =" in each and "SELECT" in each for each in sql), "who is calling"
    assert "canary" not in str(statements).lower()
    assert all(each["level"] == "info" and each["request_id"] for each in statements)


async def test_only_slow_statements_are_logged_otherwise(
    live_database: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(live_database, slow_statement=100)
    async with app.router.lifespan_context(app), app.state.database.engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.execute(text("SELECT\n  pg_sleep(0.2)"))
    (slow,) = read_statements(capsys)
    assert (slow["sql"], slow["level"]) == ("SELECT pg_sleep(0.2)", "warning")
    assert slow["duration_ms"] >= 200
