"""What the values of settings look like, and what is said of those that do not."""

import re
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.mail.smtp import SMTPServer

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


def parse_sender(text: str) -> Address:
    """Read an address, or a name with it; raise `ValueError`."""
    name, address = parseaddr(text)
    if not text.isprintable() or not address.isascii() or not all(address.rpartition("@")):
        raise ValueError("it looks like Accounts <no-reply@example.com>")
    return Address(name, addr_spec=address)


def _be_sender(value: str) -> str:
    parse_sender(value)
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
Networks = Annotated[CommaSeparated, AfterValidator(_be_networks)]
Origins = Annotated[CommaSeparated, AfterValidator(_be_origins)]
PublicURL = Annotated[str, AfterValidator(_be_public_url)]
SMTPURL = Annotated[SecretStr, AfterValidator(_be_smtp_url)]
Sender = Annotated[str, AfterValidator(_be_sender)]
