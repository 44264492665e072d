"""Every setting of the service, read once from the environment or from `.env`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT = Path(__file__).parent.parent
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


class SettingsError(Exception):
    """A setting is missing or wrong; the message has a line for each."""


class Settings(BaseSettings):
    """One field per environment variable, in upper case: `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_file=PROJECT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Literal["development", "production"] = "development"
    database_url: SecretStr | None = None
    """Where PostgreSQL is; without it, in development, an embedded one is started."""
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    """Connections of one process; a request that gets none within 3 seconds is answered 503."""
    password_hash_memory: int = Field(default=47104, ge=8)
    """Argon2id memory in KiB; OWASP's first choice (Password Storage Cheat Sheet)."""
    password_hash_threads: int = Field(default=2, ge=1, le=64)
    """Passwords hashed at the same time by one process; each needs the memory above."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API from a browser, as `https://app.example.com`."""
    docs_enabled: bool | None = None
    """Whether /docs, /redoc and /openapi.json are served; unset: in development only."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where `app run` serves metrics for Prometheus, on its own host; unset: nowhere."""

    @property
    def given_database_url(self) -> str | None:
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def serves_docs(self) -> bool:
        in_development = self.environment == "development"
        return in_development if self.docs_enabled is None else self.docs_enabled

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [each.strip() for each in value.split(",")] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any(each != "*" and not _ORIGIN.fullmatch(each) for each in origins):
            raise ValueError("an origin is a scheme and a host, such as https://app.example.com")
        return origins

    @model_validator(mode="after")
    def _refuse_any_origin_in_production(self) -> Self:
        if self.environment == "production" and "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS must name the origins in production; `*` is any")
        return self

    @model_validator(mode="after")
    def _require_database_in_production(self) -> Self:
        if self.environment == "production" and self.database_url is None:
            raise ValueError(
                "DATABASE_URL is required in production: postgresql://user:password@host/database"
            )
        return self


def read_settings() -> Settings:
    """Read the settings, or raise `SettingsError` with one line for each that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}".lstrip(": ")
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines)) from None
