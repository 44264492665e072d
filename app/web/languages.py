"""The languages of pages and mails: which there are, and the texts of each, from `app/locale/`."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from gettext import NullTranslations, translation
from pathlib import Path
from typing import Final, Literal

Language = Literal["en", "ko"]
NAMES: Final[Mapping[Language, str]] = {"en": "English", "ko": "한국어"}
"""What each language calls itself."""
DEFAULT: Final[Language] = "en"
"""The language of the source, which needs no catalog."""
SPOKEN: Final = "language"
"""In a session's `info`: the language of the request that it belongs to."""
CATALOGS: Final = Path(__file__).parents[1] / "locale"

# A language range and its weight (RFC 9110, sections 12.5.4 and 12.4.2).
_RANGE: Final = re.compile(
    r"[ \t]*([a-z]{1,8}(?:-[a-z0-9]{1,8})*|\*)"
    r"(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*",
    re.IGNORECASE | re.ASCII,
)


def N_(message: str) -> str:  # noqa: N802  # gettext's own name for it
    """Mark a text that is translated where it is shown."""
    return message


def read_catalogs() -> dict[Language, NullTranslations]:
    """Return the texts of all languages; raise FileNotFoundError where some have none."""
    return {
        each: translation("messages", CATALOGS, [each], fallback=each == DEFAULT) for each in NAMES
    }


def find_known(text: str | None) -> Language | None:
    """Return the language if it is one of ours: what is stored may be older than the list."""
    return next((each for each in NAMES if each == text), None)


@lru_cache(maxsize=256)
def negotiate(accepted: str) -> Language:
    """Return which of our languages an `Accept-Language` asks for, or else the default one.

    What is no language range counts for nothing. Of `ko-KR`, also `ko` will do (RFC 4647, section
    3.4), and of several that are wanted as much, the first.
    """
    wanted = sorted(_read_ranges(accepted), key=lambda each: -each[1])
    known = (_look_up(tag) for tag, weight in wanted if weight > 0)
    return next(filter(None, known), DEFAULT)


def _read_ranges(accepted: str) -> Iterator[tuple[str, float]]:
    for part in accepted.split(","):
        if match := _RANGE.fullmatch(part):
            yield match[1].lower(), float(match[2] or 1)


def _look_up(tag: str) -> Language | None:
    if tag == "*":
        return DEFAULT
    while tag and find_known(tag) is None:
        tag = tag.rpartition("-")[0]
    return find_known(tag)
