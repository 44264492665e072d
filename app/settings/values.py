"""What the values of settings look like, and what is said of those that do not."""

import re
from base64 import urlsafe_b64decode
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.mail.smtp import SMTPServer

_KEY_SIZE = 32  # bytes
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


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


def _be_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if any(each != "*" and not _ORIGIN.fullmatch(each) for each in origins):
        raise ValueError("an origin is a scheme and a host, such as https://app.example.com")
    return origins


def _be_public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or {"?", "#"} & {*value}:
        raise ValueError("it looks like https://app.example.com")
    return value.rstrip("/")


def _be_smtp_url(value: SecretStr) -> SecretStr:
    SMTPServer.parse(value.get_secret_value())
    return value


def split_keys(value: SecretStr) -> list[str]:
    """Return the keys; in a file, they may stand on lines of their own."""
    return value.get_secret_value().replace(",", " ").split()


def _be_encryption_keys(value: SecretStr) -> SecretStr:
    keys = split_keys(value)
    if not keys or not all(map(_is_key, keys)):
        raise ValueError(
            "a key is 32 bytes in URL-safe base64: head -c 32 /dev/urandom | base64 | tr +/ -_"
        )
    return value


def _is_key(text: str) -> bool:
    try:
        return len(urlsafe_b64decode(text)) == _KEY_SIZE
    except ValueError:
        return False


def parse_sender(text: str) -> Address:
    """Read an address, or a name with it; raise `ValueError`."""
    name, address = parseaddr(text)
    if not text.isprintable() or not address.isascii() or not all(address.rpartition("@")):
        raise ValueError("it looks like Accounts <no-reply@example.com>")
    return Address(name, addr_spec=address)


def _be_sender(value: str) -> str:
    parse_sender(value)
    return value


def _be_schema(value: str) -> str:
    if not _SCHEMA.fullmatch(value):
        raise ValueError("a schema is named by lower-case letters, digits and _, such as accounts")
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
Networks = Annotated[CommaSeparated, AfterValidator(_be_networks)]
Origins = Annotated[CommaSeparated, AfterValidator(_be_origins)]
PublicURL = Annotated[str, AfterValidator(_be_public_url)]
EncryptionKeys = Annotated[SecretStr, AfterValidator(_be_encryption_keys)]
SMTPURL = Annotated[SecretStr, AfterValidator(_be_smtp_url)]
SchemaName = Annotated[str, AfterValidator(_be_schema)]
Sender = Annotated[str, AfterValidator(_be_sender)]
