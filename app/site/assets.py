"""The files that pages load: each at an address that changes with its content."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from app.web.pages import rendering

_OURS: Final = Path(__file__).parent / "static"
# What the pages of mails look like is what all others begin with.
_FILES: Final = {
    "css": ("text/css", [rendering.TEMPLATES / "page.css", _OURS / "site.css"]),
    "js": ("text/javascript", [_OURS / "site.js"]),
    "svg": ("image/svg+xml", [_OURS / "icon.svg"]),
}


class Asset(NamedTuple):
    path: str
    media_type: str
    content: bytes


def _read(suffix: str, media_type: str, files: Sequence[Path]) -> Asset:
    content = b"\n".join(file.read_bytes() for file in files)
    return Asset(f"{sha256(content).hexdigest()[:16]}.{suffix}", media_type, content)


def _read_all() -> Iterator[tuple[str, Asset]]:
    for suffix, (media_type, files) in _FILES.items():
        yield suffix, _read(suffix, media_type, files)


ASSETS: Final = dict(_read_all())
"""By the ends of their names."""
