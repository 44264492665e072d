"""What is limited, how far, and what counts as one network or one mailbox."""

from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple


class Limit(NamedTuple):
    """As many uses as `burst` at once, and then one in each `interval`, for each key."""

    name: str
    burst: int
    interval: timedelta

    def use(self, *key: object) -> "Use":
        text = "\0".join([self.name, *map(str, key)])
        return Use(self, sha256(text.encode("utf-8", "backslashreplace")).digest())


class Use(NamedTuple):
    limit: Limit
    key_hash: bytes
    """The database shall not tell who has tried to sign in, or from where."""


PER_NETWORK = Limit("network", burst=50, interval=timedelta(seconds=3))
"""Signing in and up. A success gives its use back, so that a large office is not kept out."""
PER_ACCOUNT_AND_NETWORK = Limit("account+network", burst=5, interval=timedelta(minutes=1))
PER_ACCOUNT = Limit("account", burst=20, interval=timedelta(minutes=10))
"""Guesses from many networks. It does not hold where the account is signed in already: else anyone
could lock its owner out."""
PASSWORD_CHECKS = Limit("password", burst=5, interval=timedelta(minutes=1))
"""The current password, asked of somebody who is signed in; per account."""
SIGN_UPS_PER_MAILBOX = Limit("sign-up", burst=3, interval=timedelta(minutes=20))
LINKS_PER_MAILBOX = Limit("link", burst=3, interval=timedelta(minutes=20))
"""Mail that anybody may have sent to an address; for each kind of it."""
ADDRESS_CHANGES = Limit("address change", burst=5, interval=timedelta(minutes=20))
"""Per account: each may send mail to another stranger."""
MAIL_TOKENS_PER_NETWORK = Limit("mail token", burst=20, interval=timedelta(minutes=1))


def find_network(address: str | None) -> str:
    """Return what counts as one place: an IPv4 address, or an IPv6 network of 64 bits.

    Whoever has an IPv6 address has at least its /64 (RFC 6177), 2^64 addresses to choose from.
    What has no address, as behind a UNIX socket, is one place.
    """
    try:
        ip = ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(IPv6Address(int(ip) >> 64 << 64))


def find_mailbox(email: str) -> str:
    """Return the address without a tag: mail to `ada+tag@example.com` is mail to `ada@`."""
    local_part, _, domain = email.rpartition("@")
    return f"{local_part.partition('+')[0]}@{domain}"
