"""FastAPI's own `TestClient`, on a database of the tests."""

import pytest
from fastapi.testclient import TestClient

from app.main import create_app


def test_service_is_on_the_database_of_the_tests() -> None:
    with TestClient(app := create_app()) as client:
        assert client.get("/readyz").status_code == 200
        assert app.state.database.engine.url.database.startswith("test_")


def test_service_that_has_not_started_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert TestClient(create_app()).get("/readyz").status_code == 500
    assert "has not started: `with TestClient(app) as client:`" in capsys.readouterr().err
