"""Tokens that prove something to whoever has them; of each, only the hash is stored."""

from hashlib import sha256
from secrets import token_urlsafe


def new_token(prefix: str) -> str:
    """Return 256 random bits of the operating system's; scanners for leaks know it by its prefix.

    43 characters of base64url follow, so that nothing in it needs to be quoted anywhere.
    """
    return f"{prefix}_{token_urlsafe(32)}"


def hash_token(token: str) -> bytes:
    """Return the SHA-256: of 256 random bits, nothing slower or salted hides more."""
    return sha256(token.encode()).digest()
