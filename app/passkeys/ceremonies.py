"""WebAuthn, level 3: what browsers are asked for, and whether their answers are right.

The library is imported by who calls it: it has a tenth of the service's imports, and 7 MiB of a
worker that may never see a passkey.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from app.passkeys.models import Passkey
from app.users.models import User

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor
    from webauthn.registration.verify_registration_response import VerifiedRegistration

Credential = Mapping[str, Any]
_LONGEST_ID: Final = 1023  # bytes (WebAuthn, section 7.1)


class InvalidResponse(Exception):
    """The browser's answer is not right; why is in the cause."""


class CounterWentBack(InvalidResponse):
    """The signature is right, but not later than one before: there is a copy of the passkey."""


class RelyingParty(NamedTuple):
    """Who we are to browsers: they offer passkeys to these origins, and to no other."""

    id: str
    name: str
    origins: Sequence[str]

    @classmethod
    def at(cls, public_url: str, *, name: str, id_: str | None, origins: Sequence[str]) -> Self:
        """Return what is reached there. Browsers take no address of IP, hence `localhost`."""
        url = urlsplit(public_url)
        host = url.hostname or "localhost"
        own = f"{url.scheme}://{url.netloc}"
        if _is_ip_address(host):
            host, port = "localhost", f":{url.port}" if url.port else ""
            own = f"{url.scheme}://{host}{port}"
        return cls(id_ or host, name, [own, *origins])

    def ask_for_new(self, user: User, known: Sequence[bytes], challenge: bytes) -> dict[str, Any]:
        """Ask for a passkey that its authenticator can find by itself."""
        from webauthn import generate_registration_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        options = generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=user.id.bytes,
            user_name=user.email,
            user_display_name=user.full_name or user.email,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_describe(known),
        )
        return options_to_json_dict(options)

    def ask_for_signature(
        self, known: Sequence[bytes], challenge: bytes, *, verifies_user: bool
    ) -> dict[str, Any]:
        """Ask for a signature by one of the `known`, or by any passkey if there are none."""
        from webauthn import generate_authentication_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import UserVerificationRequirement

        needed = UserVerificationRequirement
        options = generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            allow_credentials=_describe(known),
            user_verification=needed.REQUIRED if verifies_user else needed.PREFERRED,
        )
        return options_to_json_dict(options)

    def check_new(self, credential: Credential, challenge: bytes) -> "VerifiedRegistration":
        """Return the new key, or raise `InvalidResponse`."""
        from webauthn import verify_registration_response

        try:
            new = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                require_user_verification=True,
            )
        except Exception as error:  # garbage makes the libraries below raise whatever they like
            raise InvalidResponse from error
        if len(new.credential_id) > _LONGEST_ID:
            raise InvalidResponse
        return new

    def check_signature(
        self, credential: Credential, challenge: bytes, passkey: Passkey, *, verifies_user: bool
    ) -> "VerifiedAuthentication":
        """Return what the passkey says of itself; raise `InvalidResponse`, `CounterWentBack`."""
        from webauthn import verify_authentication_response

        try:
            said = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,  # compared below, once the signature is right
                require_user_verification=verifies_user,
            )
        except Exception as error:  # the same
            raise InvalidResponse from error
        if passkey.sign_count and said.new_sign_count <= passkey.sign_count:
            raise CounterWentBack
        return said


def read_challenge(credential: Credential) -> bytes:
    """Return which challenge was signed, as it says; raise `InvalidResponse`."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json

    try:
        text = credential["response"]["clientDataJSON"]
        return parse_client_data_json(base64url_to_bytes(text)).challenge
    except Exception as error:  # the same
        raise InvalidResponse from error


def read_id(credential: Credential) -> bytes:
    """Return which passkey has signed, as it says; raise `InvalidResponse`."""
    return _read_bytes(credential, "rawId")


def read_user_handle(credential: Credential) -> bytes:
    """Return whose passkey it is, as its authenticator says; raise `InvalidResponse`."""
    response = credential.get("response")
    return _read_bytes(response if isinstance(response, dict) else {}, "userHandle")


def _read_bytes(members: Mapping[str, Any], name: str) -> bytes:
    from webauthn import base64url_to_bytes

    try:
        return base64url_to_bytes(members[name])
    except Exception as error:  # the same
        raise InvalidResponse from error


def _describe(ids: Sequence[bytes]) -> list["PublicKeyCredentialDescriptor"]:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=each) for each in ids]


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
