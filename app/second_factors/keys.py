"""Encryption of what must be read again, hence cannot be hashed: the secrets of one-time codes."""

import uuid
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Unreadable(Exception):
    """It was encrypted with a key that is gone, or for another user."""


class Keys:
    """The first key encrypts, all of them decrypt; so a new one is put in front of the old."""

    def __init__(self, *keys: str) -> None:
        """Raise `ValueError` if one is no key: 32 bytes in URL-safe base64."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def for_development(cls) -> Self:
        """Return what everybody knows, and production refuses."""
        return cls(urlsafe_b64encode(sha256(b"development").digest()).decode())

    def encrypt(self, user_id: uuid.UUID, secret: str) -> bytes:
        """Encrypt, for this user alone: the row is worth nothing as another's."""
        return self._fernet.encrypt(user_id.bytes + secret.encode())

    def decrypt(self, user_id: uuid.UUID, encrypted: bytes) -> str:
        """Return the secret, or raise `Unreadable`."""
        try:
            plain = self._fernet.decrypt(encrypted)
        except InvalidToken as error:
            raise Unreadable from error
        if not plain.startswith(user_id.bytes):
            raise Unreadable
        return plain.removeprefix(user_id.bytes).decode()
