"""What a browser says of itself, in words that its user knows it by."""

from typing import Final

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


def describe_device(user_agent: str | None) -> str:
    """Return `Firefox on Linux`, or what there is."""
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS.items() if mark in text), None)
    system = next((name for mark, name in _SYSTEMS.items() if mark in text), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or text[:60] or "Unknown device"
