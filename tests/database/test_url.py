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
    ("given", "host", "port"),
    [
        # libpq's (PostgreSQL manual, 32.1.1.2)
        ("postgresql://127.0.0.1", "127.0.0.1", None),
        ("postgresql://127.0.0.1:5433/app?connect_timeout=10", "127.0.0.1", "5433"),
        ("postgresql://u:p@127.0.0.1:1,[::1]:2/app", "127.0.0.1,::1", "1,2"),
        (
            "postgresql://127.0.0.1:1,localhost?target_session_attrs=any",
            "127.0.0.1,localhost",
            "1,",
        ),
        ("postgresql://u:p%40@127.0.0.1,localhost/app", "127.0.0.1,localhost", None),
        ("postgresql:///app?host=127.0.0.1,localhost&port=1,2", "127.0.0.1,localhost", "1,2"),
        ("postgresql:///app?host=127.0.0.1,localhost&port=1", "127.0.0.1,localhost", "1,1"),
        ("postgresql://[::1]/app", "::1", None),
        ("postgresql:///app?host=/var/lib/postgresql", "/var/lib/postgresql", None),
        ("postgresql://%2Fvar%2Flib%2Fpostgresql/app", "/var/lib/postgresql", None),
        ("postgresql://u@%2Fvar%2Flib%2Fa%20b:5433/app", "/var/lib/a b", "5433"),
        # SQLAlchemy's (PostgreSQL dialect, "Specifying multiple fallback hosts")
        ("postgresql+psycopg://u:p@/app?host=127.0.0.1:1&host=[::1]:2", "127.0.0.1,::1", "1,2"),
        ("postgresql://u:p@/app?host=127.0.0.1:1&host=localhost", "127.0.0.1,localhost", "1,"),
        ("postgresql://u:p@/app?host=127.0.0.1&host=localhost", "127.0.0.1,localhost", None),
        ("postgresql://u:p@/app?host=127.0.0.1:1", "127.0.0.1", "1"),
        ("postgresql:///app?host=::1&host=localhost&port=1&port=2", "::1,localhost", "1,2"),
    ],
)
def test_forms_of_libpq_and_sqlalchemy_mean_the_same_to_both(
    given: str, host: str, port: str | None
) -> None:
    with database_url(given) as url:
        read = conninfo_to_dict(libpq_uri(url))
        assert (read["host"], read.get("port")) == (host, port)
        assert "sslmode" not in read
        _, made = url.get_dialect()().create_connect_args(url)
        assert (made["host"], str(made.get("port", "")).strip(",")) == (
            host,
            (port or "").strip(","),
        )


@pytest.mark.parametrize(
    "given",
    [
        "nonsense",
        "secret",
        "postgresql://ada:secret@db:port/app",
        "postgresql:///?host=db:1&host=secret&port=2",
        "mysql://ada:secret@db/x",
    ],
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


def test_an_at_sign_of_a_password_has_to_be_escaped() -> None:
    with (
        pytest.raises(DatabaseURLError, match="in a password, write %40"),
        database_url("postgresql://app:p@ss@localhost/app"),
    ):
        pass
