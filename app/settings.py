"""Every setting of the service, read once from the environment or from `.env`."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PROJECT = Path(__file__).parent.parent


class SettingsError(Exception):
    """A setting is missing or wrong; the message has a line for each."""


def _split_at_commas(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _be_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for network in networks if networks != ("*",) else ():
            ip_network(network)
    except ValueError:
        raise ValueError(
            "should be networks such as 10.0.0.0/8,2001:db8::/32, with no bit set after the prefix"
        ) from None
    return networks


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets that stand in files: DATABASE_URL_FILE names one with what DATABASE_URL would be."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in found.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if not path or SecretStr not in (field.annotation, *get_args(field.annotation)):
            return None, field_name, False
        try:
            return Path(path).read_text("utf-8", "replace").strip(), field_name, False
        except OSError as error:
            raise SettingsError(f"{variable}: cannot read {path}: {error.strerror}") from None


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
    password_min_length: int = Field(default=15, ge=8, le=64)
    """Code points; 15 is NIST's least for a password without a second factor (SP 800-63B-4)."""
    password_hash_memory: int = Field(default=47104, ge=8)
    """Argon2id memory in KiB; OWASP's first choice (Password Storage Cheat Sheet)."""
    password_hash_threads: int = Field(default=2, ge=1, le=64)
    """Passwords hashed at the same time by one process; each needs the memory above."""

    trusted_proxies: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas), AfterValidator(_be_networks)
    ] = ()
    """Whose X-Forwarded-For and X-Forwarded-Proto are believed; anybody else's are ignored."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # a folder; ours are files
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the first that has a value win."""
        return init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings

    @property
    def given_database_url(self) -> str | None:
        return self.database_url.get_secret_value() if self.database_url else None

    @model_validator(mode="after")
    def _require_database_in_production(self) -> Self:
        if self.environment == "production" and self.database_url is None:
            raise ValueError(
                "DATABASE_URL is required in production: postgresql://user:password@host/database"
            )
        return self

    @model_validator(mode="after")
    def _trust_no_stranger_in_production(self) -> Self:
        if self.environment == "production" and "*" in self.trusted_proxies:
            raise ValueError(
                "TRUSTED_PROXIES cannot be * in production: anybody could choose their address"
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
