import re

import pytest
from pydantic import ValidationError

from app.settings import Settings, SettingsError, read_settings
from tests.servers import ROOT


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_settings_have_defaults_for_development() -> None:
    settings = read_settings()
    assert (settings.environment, settings.given_database_url) == ("development", None)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@db/app")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "")  # empty is unset
    settings = read_settings()
    assert settings.given_database_url == "postgresql://ada:secret@db/app"
    assert settings.database_pool_size == 10
    assert "secret" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.database_pool_size = 5  # type: ignore[misc]  # frozen, which mypy knows too


def test_production_requires_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="DATABASE_URL is required in production"):
        read_settings()


def test_settings_error_has_a_line_for_each_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "4711x")
    monkeypatch.setenv("PASSWORD_HASH_THREADS", "0")
    with pytest.raises(SettingsError) as wrong:
        read_settings()
    pool, threads = str(wrong.value).splitlines()
    assert pool.startswith("DATABASE_POOL_SIZE: ")
    assert threads.startswith("PASSWORD_HASH_THREADS: ")
    assert "4711x" not in str(wrong.value)


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
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/app")
    monkeypatch.setenv("ENVIRONMENT", environment)
    monkeypatch.setenv("DOCS_ENABLED", enabled)
    assert read_settings().serves_docs is expected
