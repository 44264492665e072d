"""An authenticator in software: it makes passkeys and signs with them, also as it should not."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64
ES256 = -7


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """It holds one passkey. Change an attribute, and it answers otherwise."""

    origin: str = "http://localhost:8000"
    rp_id: str = "localhost"
    flags: int = PRESENT | VERIFIED
    algorithm: int = ES256
    sign_count: int = 0
    credential_id: bytes = field(default_factory=lambda: token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    user_handle: bytes = b""
    digest: HashAlgorithm = field(default_factory=SHA256)

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Make a passkey for the user that the options name."""
        self.user_handle = decode(options["user"]["id"])
        attested = b"".join(
            [
                bytes(16),
                len(self.credential_id).to_bytes(2, "big"),
                self.credential_id,
                encode_cbor(self.public_key()),
            ]
        )
        data = self._authenticator_data(self.flags | ATTESTED) + attested
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options["challenge"])
        return self._credential(
            clientDataJSON=encode(client_data), attestationObject=encode(attestation)
        )

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Sign the challenge of the options."""
        self.sign_count += bool(self.sign_count)
        data = self._authenticator_data(self.flags)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + sha256(client_data).digest(), ECDSA(self.digest))
        return self._credential(
            clientDataJSON=encode(client_data),
            authenticatorData=encode(data),
            signature=encode(signature),
            userHandle=encode(self.user_handle),
        )

    def public_key(self) -> dict[int, Any]:
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        return {1: 2, 3: self.algorithm, -1: 1, -2: x, -3: y}

    def _authenticator_data(self, flags: int) -> bytes:
        rp_id_hash = sha256(self.rp_id.encode()).digest()
        return rp_id_hash + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _client_data(self, type_: str, challenge: str) -> bytes:
        data = {"type": type_, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(data).encode()

    def _credential(self, **response: str) -> dict[str, Any]:
        id_ = encode(self.credential_id)
        extra: dict[str, Any] = {
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response} | extra
