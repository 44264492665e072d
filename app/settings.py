"""Every setting of the service, read once from the environment or from `.env`."""

from collections.abc import Iterator
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.secret_files import SecretFileError, SecretFiles
from app.smtp import SMTPServer

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


class Settings(BaseSettings):
    """One field per environment variable, in upper case: `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_file=PROJECT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Literal["development", "production"] = "development"
    database_url: SecretStr | None = None
    """Where PostgreSQL is; without it, in development, an embedded one is started."""
    database_pool_size: int = Field(default=20, ge=1, le=1000)
    """Connections of one process; a request that gets none within 3 seconds is answered 503.

    To wait for one costs 300 us of CPU, so they should be more than the requests at a time.
    """
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
    public_url: str = "http://127.0.0.1:8000"
    """Where people reach the service: the links in mail lead there. Without a `/` at its end."""
    smtp_url: SecretStr | None = None
    """The server that takes mail; without it, in development, mail is printed."""
    mail_from: str = "User service <no-reply@localhost>"
    """The sender of all mail: an address, or a name with it."""
    mail_worker: bool = True
    """Whether this process sends mail too; if not, `app worker` does."""

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

    @property
    def smtp_server(self) -> SMTPServer | None:
        return SMTPServer.parse(self.smtp_url.get_secret_value()) if self.smtp_url else None

    @property
    def mail_sender(self) -> Address:
        return _parse_sender(self.mail_from)

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or {"?", "#"} & {*value}:
            raise ValueError("it looks like https://app.example.com")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            SMTPServer.parse(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _check_mail_from(cls, value: str) -> str:
        _parse_sender(value)
        return value

    @model_validator(mode="after")
    def _require_in_production(self) -> Self:
        if self.environment == "production" and (missing := [*self._find_missing()]):
            raise ValueError("\n".join(missing))
        return self

    def _find_missing(self) -> Iterator[str]:
        """Say what production needs, and development has a default for that is of no use there."""
        if self.database_url is None:
            yield "DATABASE_URL is required in production: postgresql://user:password@host/database"
        if not self.public_url.startswith("https://"):
            yield "PUBLIC_URL is required in production: https://app.example.com"
        if self.smtp_url is None:
            yield "SMTP_URL is required in production: smtp://user:password@host:587"
        if self.mail_sender.domain == "localhost":
            yield "MAIL_FROM is required in production: User service <no-reply@example.com>"
        if "*" in self.trusted_proxies:
            yield "TRUSTED_PROXIES cannot be * in production: anybody could choose their address"


def _parse_sender(text: str) -> Address:
    name, address = parseaddr(text)
    if not text.isprintable() or not address.isascii() or not all(address.rpartition("@")):
        raise ValueError("it looks like User service <no-reply@example.com>")
    return Address(name, addr_spec=address)


def read_settings() -> Settings:
    """Read the settings, or raise `SettingsError` with one line for each that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])).upper()}: {_read_message(problem)}".lstrip(": ")
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines)) from None
    except SecretFileError as error:
        raise SettingsError(str(error)) from None


def _read_message(problem: ErrorDetails) -> str:
    return problem["msg"].removeprefix("Value error, ")
