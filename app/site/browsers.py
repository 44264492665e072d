"""What a browser says of itself, in words that its user knows it by."""

from typing import Final, NamedTuple

# The first that is found: many claim to be others as well.
_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
_SYSTEMS: Final = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


class Device(NamedTuple):
    """What is known of it; pages put it into a phrase of their language."""

    browser: str | None
    system: str | None
    text: str
    """What it says itself, for one that is neither."""


def find_device(user_agent: str | None) -> Device:
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS.items() if mark in text), None)
    system = next((name for mark, name in _SYSTEMS.items() if mark in text), None)
    return Device(browser, system, text[:60])
