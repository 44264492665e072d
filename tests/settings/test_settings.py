import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.parts import NAME
from app.settings import Settings, SettingsError, read_settings
from tests.servers import ROOT


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def test_settings_have_defaults_for_development() -> None:
    settings = read_settings()
    assert (settings.environment, settings.given_database_url) == ("development", None)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@db/app")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "")  # empty is unset
    settings = read_settings()
    assert settings.given_database_url == "postgresql://ada:secret@db/app"
    assert settings.database_pool_size == 20
    assert "secret" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.database_pool_size = 5  # type: ignore[misc]  # frozen, which mypy knows too


def test_secret_comes_from_a_file_unless_the_environment_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("postgresql://ada:secret@db/app\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert read_settings().given_database_url == "postgresql://ada:secret@db/app"
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@elsewhere/app")
    assert read_settings().given_database_url == "postgresql://ada:secret@elsewhere/app"


def test_every_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, url in (("database", "postgresql://db/app"), ("smtp", "smtp://ada:key@mail:587")):
        (tmp_path / name).write_text(f"{url}\n")
        monkeypatch.setenv(f"{name.upper()}_URL_FILE", str(tmp_path / name))
    settings = read_settings()
    assert settings.given_database_url == "postgresql://db/app"
    assert settings.smtp_server is not None


def test_what_is_no_secret_has_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("production")
    monkeypatch.setenv("ENVIRONMENT_FILE", str(tmp_path / "environment"))
    assert read_settings().environment == "development"


def test_secret_file_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match=r"DATABASE_URL_FILE: cannot read .*: No such file"):
        read_settings()


PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://ada@db/app",
    "PUBLIC_URL": "https://app.example.com",
    "SECOND_FACTOR_KEYS": "a" * 43 + "=",
    "SMTP_URL": "smtp://mail.example.com",
    "MAIL_FROM": "no-reply@example.com",
}


def test_production_names_all_that_it_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError) as wrong:
        read_settings()
    assert [line.partition(" ")[0] for line in str(wrong.value).splitlines()] == [*PRODUCTION][1:]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("PUBLIC_URL", "http://app.example.com"),
        ("SECOND_FACTOR_KEYS", ""),
        ("SMTP_URL", ""),
        ("MAIL_FROM", "no-reply@localhost"),
    ],
)
def test_production_requires(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for setting, given in PRODUCTION.items():
        monkeypatch.setenv(setting, given)
    assert read_settings().environment == "production"
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} is required in production: "):
        read_settings()


@pytest.mark.parametrize(
    "keys", ["secret", "a" * 43, "a" * 44, "ä" * 43 + "=", ",", "a" * 43 + "=,secret"]
)
def test_keys_of_second_factors_are_checked(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("SECOND_FACTOR_KEYS", keys)
    with pytest.raises(SettingsError, match=r"^SECOND_FACTOR_KEYS: a key is 32 bytes") as wrong:
        read_settings()
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "app.example.com"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://app.example.com/?a"),
        ("PUBLIC_URL", "https://app.example.com/#a"),
        ("SMTP_URL", "http://secret@mail"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://mail:no-port-secret"),
        ("SMTP_URL", "smtp://mail?tls=no"),
        ("SMTP_URL", "smtp://mail?verify=off"),
        ("SMTP_URL", "smtps://mail?tls=off"),
        ("SMTP_URL", "smtp://user:secret@mail?tls=off"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@b.c\r\nBcc: d@e.f"),
        ("MAIL_FROM", "a@b@"),
    ],
)
def test_settings_of_mail_are_checked(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as wrong:
        read_settings()
    assert "secret" not in str(wrong.value)


def test_public_url_ends_without_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://example.com/accounts/")
    assert read_settings().public_url == "https://example.com/accounts"


def test_asvs_12_3_1_smtp_has_tls_unless_switched_off_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for url, port, security in (
        ("smtp://mail", 587, "STARTTLS"),
        ("smtp://localhost", 587, "STARTTLS"),
        ("smtp://mail:2525", 2525, "STARTTLS"),
        ("smtps://mail", 465, "TLS"),
        ("smtp://mail?tls=off", 25, "off"),
    ):
        monkeypatch.setenv("SMTP_URL", url)
        server = read_settings().smtp_server
        assert server is not None
        assert (server.port, server.security) == (port, security)


def test_smtp_url_may_quote_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://ada%40example.com:a%2Fb%3Ac@mail")
    settings = read_settings()
    assert settings.smtp_server is not None
    assert settings.smtp_server[2:4] == ("ada@example.com", "a/b:c")
    assert "a%2Fb" not in repr(settings)


def test_mail_from_has_a_name_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().mail_sender.display_name == NAME
    monkeypatch.setenv("MAIL_FROM", "no-reply@example.com")
    assert str(read_settings().mail_sender) == "no-reply@example.com"


def test_settings_error_has_a_line_for_each_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "4711x")
    monkeypatch.setenv("PASSWORD_HASH_THREADS", "0")
    with pytest.raises(SettingsError) as wrong:
        read_settings()
    pool, threads = str(wrong.value).splitlines()
    assert pool.startswith("DATABASE_POOL_SIZE: ")
    assert threads.startswith("PASSWORD_HASH_THREADS: ")
    assert "4711x" not in str(wrong.value)


def test_trusted_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,192.0.2.1")
    assert read_settings().trusted_proxies == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")


@pytest.mark.parametrize(
    "malformed", ["proxy.example.com", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8,*", "10.0.0.0/8,"]
)
def test_trusted_proxies_refuse_what_is_no_network(
    monkeypatch: pytest.MonkeyPatch, malformed: str
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", malformed)
    with pytest.raises(SettingsError, match=r"^TRUSTED_PROXIES: .* networks such as 10\.0\.0\.0/8"):
        read_settings()


def test_production_trusts_no_proxy_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "*")
    assert read_settings().trusted_proxies == ("*",)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/app")
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES cannot be \* in production"):
        read_settings()


def test_env_example_names_every_setting_and_no_other() -> None:
    lines = (ROOT / ".env.example").read_text()
    named = re.findall(r"^([A-Z_]+)=", lines, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_gives_the_defaults() -> None:
    example = Settings(_env_file=ROOT / ".env.example")
    assert example == Settings(_env_file=None)


def test_cors_origins_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, http://[::1]:3000")
    assert read_settings().cors_origins == ("https://a.example", "http://[::1]:3000")


@pytest.mark.parametrize("origins", ["a.example", "https://a.example/", "https://a.example,"])
def test_cors_origins_are_a_scheme_and_a_host(
    monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS: .* such as https://app\.example\.com"):
        read_settings()


def test_cors_origins_are_named_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/app")
    monkeypatch.setenv("CORS_ORIGINS", "*")
    assert read_settings().cors_origins == ("*",)
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="CORS_ORIGINS must name the origins in production"):
        read_settings()


@pytest.mark.parametrize(
    ("environment", "enabled", "expected"),
    [
        ("development", "", True),
        ("development", "false", False),
        ("production", "", False),
        ("production", "true", True),
    ],
)
def test_docs_are_served_in_development_unless_set(
    monkeypatch: pytest.MonkeyPatch, environment: str, enabled: str, *, expected: bool
) -> None:
    for name, value in (PRODUCTION | {"ENVIRONMENT": environment}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCS_ENABLED", enabled)
    assert read_settings().serves_docs is expected
