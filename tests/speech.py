"""A language in which every text is marked, so that what is not translated shows."""

import re
from collections.abc import Iterator
from gettext import NullTranslations
from html.parser import HTMLParser

OPEN, CLOSE = "⟦⟧"
_SILENT = {"script", "style", "code", "time", "svg"}  # what they hold is no text of ours
_SPOKEN = {"alt", "aria-label", "placeholder", "title", "data-unused", "data-failed"}
_LETTERS = re.compile(r"[^\W\d_]{2,}")


class Marking(NullTranslations):
    """Sets each text into brackets instead of translating it."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class _Reader(HTMLParser):
    """Collects what people read or are told, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [value for name, value in attrs if name in _SPOKEN and value]
        if tag in _SILENT or ("class", "code") in attrs:
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent[-1:] == [tag]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def read_texts(html: str) -> tuple[str, list[str]]:
    """Return what a page shows, and what its attributes say."""
    reader = _Reader()
    reader.feed(html)
    return " ".join(reader.texts), reader.attributes


def find_unmarked(html: str) -> set[str]:
    """Return the words of a page that are in no bracket."""
    shown, attributes = read_texts(html)
    return {word for text in (shown, *attributes) for word in find_words(text)}


def find_words(text: str) -> Iterator[str]:
    """Yield the words outside of all brackets, which may be one in another."""
    depth, outside = 0, ""
    for character in text:
        depth += (character == OPEN) - (character == CLOSE)
        outside += character if depth == 0 else " "
    yield from _LETTERS.findall(outside)
