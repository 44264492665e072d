"""Every setting of the service, read once from the environment or from `.env`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from email.headerregistry import Address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from app.database.url import DEFAULT_SCHEMA, database_url
from app.mail.smtp import SMTPServer
from app.settings.secret_files import SecretFileError, SecretFiles
from app.settings.values import (
    SMTPURL,
    EncryptionKeys,
    Networks,
    Origins,
    PublicURL,
    SchemaName,
    Sender,
    parse_sender,
    split_keys,
)

PROJECT = Path(__file__).parents[2]


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
    database_schema: SchemaName = DEFAULT_SCHEMA
    """Where our tables are, in a database that is shared; `public` is wherever its role looks."""
    database_pool_size: int = Field(default=20, ge=1, le=1000)
    """Connections of one process; a request that gets none within 3 seconds is answered 503.

    To wait for one costs 300 us of CPU, so they should be more than the requests at a time.
    """
    database_prepared_statements: bool = True
    """False behind PgBouncer in transaction mode, whose connections outlive a migration."""
    request_timeout: int = Field(default=10, ge=1, le=300)
    """Seconds after its start until which a request waits for the database, alive or not."""
    newer_database: bool = False
    """Start on a database that a newer release has migrated, as one does to roll back."""
    password_min_length: int = Field(default=15, ge=8, le=64)
    """Code points; 15 is NIST's least for a password without a second factor (SP 800-63B-4)."""
    password_hash_memory: int = Field(default=47104, ge=8)
    """Argon2id memory in KiB; OWASP's first choice (Password Storage Cheat Sheet)."""
    password_hash_threads: int = Field(default=2, ge=1, le=64)
    """Passwords hashed at the same time by one process; each needs the memory above."""
    shutdown_delay: int = Field(default=0, ge=0, le=10)
    """Seconds that a process told to stop goes on serving, unready, until proxies have noticed."""
    keep_alive_timeout: int = Field(default=5, ge=1, le=3600)
    """Seconds that a client's connection may be idle; more than a proxy in front keeps it."""
    head_timeout: int = Field(default=10, ge=1, le=3600)
    """Seconds that a client has to send the head of a request, from its first byte on."""
    body_timeout: int = Field(default=20, ge=1, le=3600)
    """Seconds that a client has to send a body, and one more for each 4 KiB of it."""
    send_timeout: int = Field(default=20, ge=1, le=3600)
    """Seconds in which a client must take some of its answer."""
    max_connections: int = Field(default=1000, ge=1)
    """Clients' connections of one process; one more takes the place of the longest dawdler."""
    public_url: PublicURL = "http://127.0.0.1:8000"
    """Where people reach the service: the links in mail lead there. Without a `/` at its end."""
    trusted_proxies: Networks = ()
    """Whose X-Forwarded-For and X-Forwarded-Proto are believed; anybody else's are ignored."""
    cors_origins: Origins = ()
    """Origins whose pages may call the API from a browser, as `https://app.example.com`."""
    docs_enabled: bool | None = None
    """Whether /docs and /openapi.json are served; unset: in development only."""
    account_deletion_days: int = Field(default=0, ge=0, le=365)
    """For how long an account that its owner deletes is kept; signing in takes it back."""
    passkey_domain: str | None = None
    """The domain that passkeys are for (their RP ID); unset: PUBLIC_URL's. Another loses them all.
    """
    passkey_origins: Origins = ()
    """Other origins of that domain where passkeys sign in, as `https://app.example.com`."""
    second_factor_keys: EncryptionKeys | None = None
    """What encrypts the secrets of one-time codes: keys of Fernet, the newest first, with commas
    between. All of them decrypt. Without one, in development, a key that everybody knows is used.
    """
    second_factor_required: Literal["nobody", "superusers", "everybody"] = "nobody"
    """Who can do nothing but set up a second factor until there is one."""
    smtp_url: SMTPURL | None = None
    """The server that takes mail; without it, in development, mail is printed."""
    mail_from: Sender = "User service <no-reply@localhost>"
    """The sender of all mail: an address, or a name with it."""
    mail_worker: bool = True
    """Whether this process sends mail too; if not, `app worker` does."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_sql: bool = False
    """Whether every statement is logged, with the time it took, and never its parameters."""
    slow_statement: int = Field(default=1000, ge=1)
    """Milliseconds; a statement that takes as long is logged as a warning."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where `app run` serves metrics for Prometheus, on its own host; unset: nowhere."""

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

    def open_database_url(self) -> AbstractContextManager[URL]:
        """Yield where the database is, and whose names lead to our schema."""
        return database_url(self.given_database_url, schema=self.database_schema)

    @property
    def smtp_server(self) -> SMTPServer | None:
        return SMTPServer.parse(self.smtp_url.get_secret_value()) if self.smtp_url else None

    @property
    def second_factor_key_list(self) -> list[str]:
        return split_keys(self.second_factor_keys) if self.second_factor_keys else []

    @property
    def mail_sender(self) -> Address:
        return parse_sender(self.mail_from)

    @property
    def in_production(self) -> bool:
        return self.environment == "production"

    @property
    def serves_docs(self) -> bool:
        return not self.in_production if self.docs_enabled is None else self.docs_enabled

    @model_validator(mode="after")
    def _be_fit_for_production(self) -> Self:
        if self.in_production and (missing := [*self._find_unfit()]):
            raise ValueError("\n".join(missing))
        return self

    def _find_unfit(self) -> Iterator[str]:
        """Say what production needs, and development has a default for that is of no use there."""
        if self.database_url is None:
            yield "DATABASE_URL is required in production: postgresql://user:password@host/database"
        if not self.public_url.startswith("https://"):
            yield "PUBLIC_URL is required in production: https://app.example.com"
        if self.second_factor_keys is None:
            yield "SECOND_FACTOR_KEYS is required in production: 32 random bytes in URL-safe base64"
        if self.smtp_url is None:
            yield "SMTP_URL is required in production: smtp://user:password@host:587"
        if self.mail_sender.domain == "localhost":
            yield "MAIL_FROM is required in production: Accounts <no-reply@example.com>"
        if "*" in self.trusted_proxies:
            yield "TRUSTED_PROXIES cannot be * in production: anybody could choose their address"
        if "*" in self.cors_origins:
            yield "CORS_ORIGINS must name the origins in production; * is any"


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
