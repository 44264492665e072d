"""What holds passkeys in a real Chromium: a virtual authenticator (CDP's domain WebAuthn)."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def add_authenticator(page: Page) -> Callable[[], Any]:
    """Give the browser what holds passkeys, and return what takes it away."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
    return lambda: devtools.send("WebAuthn.disable")
