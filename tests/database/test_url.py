"""How DATABASE_URL is read."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from app.database.url import DatabaseURLError, database_url, libpq_uri


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://ada:secret@localhost:5432/app", "postgresql+psycopg"),
        ("postgres://ada:secret@localhost:5432/app", "postgresql+psycopg"),
        ("postgresql+asyncpg://ada:secret@localhost/app", "postgresql+psycopg"),
        (
            "postgresql:///app?host=localhost%2C127.0.0.1&target_session_attrs=read-write",
            "postgresql+psycopg",
        ),
        ("sqlite:///./app.db", "sqlite"),
    ],
)
def test_database_url_chooses_the_driver(given: str, driver: str) -> None:
    with database_url(given) as url:
        assert url.drivername == driver
        assert url.render_as_string(hide_password=False).endswith(given.partition("://")[2])


@pytest.mark.parametrize(
    "given",
    ["nonsense", "secret", "postgresql://ada:secret@db:port/app", "mysql://ada:secret@db/x"],
)
def test_database_url_refuses_what_it_cannot_use(given: str) -> None:
    with pytest.raises(DatabaseURLError) as refused, database_url(given):
        pass
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ("postgresql://ada@db/app", "verify-full"),
        ("postgresql://ada@192.0.2.1/app", "verify-full"),
        ("postgresql:///app?hostaddr=192.0.2.1", "verify-full"),
        ("postgresql:///app?host=localhost,db", "verify-full"),
        ("postgresql:///app?host=localhost&host=db", "verify-full"),
        ("postgresql://ada@db/app?sslmode=require", "require"),
        ("postgresql://ada@db/app?sslmode=disable", "disable"),
        ("postgresql://ada@localhost/app", None),
        ("postgresql://ada@[::1]/app", None),
        ("postgresql:///app?host=/var/run/postgresql", None),
        ("postgresql:///app?service=mine", None),
        ("postgresql:///app", None),
    ],
)
def test_asvs_12_3_1_remote_database_needs_tls(given: str, mode: str | None) -> None:
    with database_url(given) as url:
        assert url.query.get("sslmode") == mode


@pytest.mark.parametrize("mode", ["allow", "prefer"])
def test_asvs_12_3_1_remote_database_is_refused_a_fallback_to_plain_text(mode: str) -> None:
    given = f"postgresql://ada:secret@db/app?sslmode={mode}"
    with pytest.raises(DatabaseURLError, match="verify-full"), database_url(given):
        pass


def test_asvs_12_3_1_host_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")
    with database_url("postgresql:///app") as url:
        assert url.query["sslmode"] == "verify-full"
    monkeypatch.setenv("PGSSLMODE", "disable")
    with database_url("postgresql:///app") as url:
        assert "sslmode" not in url.query


@pytest.mark.parametrize("password", ["a+b", "a b", "ä%2B@:/?"])
async def test_libpq_uri_is_read_by_libpq_as_it_was_meant(password: str) -> None:
    query = {"host": "/a folder/with+plus"}
    url = URL.create("postgresql+psycopg", "me+you", password, database="app", query=query)
    read = conninfo_to_dict(libpq_uri(url))
    assert (read["user"], read["password"]) == ("me+you", password)
    assert (read["host"], read["dbname"]) == ("/a folder/with+plus", "app")
