"""What a domain is called in each place: folder, table, class, path, prose."""

import builtins
import keyword
import re
from dataclasses import dataclass

LONGEST_IDENTIFIER = 63  # PostgreSQL cuts off the rest
_BUILTINS = {*dir(builtins)} - {"copyright", "credits", "license"}  # which only a terminal has
_WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_CAMEL = re.compile(r"([A-Z][a-z0-9]*)+")
# What the functions of a service call other things by.
_VARIABLES = {"session", "data", "query", "error", "mine", "sent", "other"}
_LONGEST_NAME = 24  # for which the lines of the tests' tables have place


class UsageError(Exception):
    """What was asked for cannot be written; the message says why."""


@dataclass(frozen=True)
class Noun:
    """One of them, `blog_post`, and many, `blog_posts`."""

    one: str
    many: str

    @property
    def class_name(self) -> str:
        return to_class_name(self.one)

    @property
    def path(self) -> str:
        return self.many.replace("_", "-")

    @property
    def word(self) -> str:
        return self.one.replace("_", " ")

    @property
    def words(self) -> str:
        return self.many.replace("_", " ")

    @property
    def a(self) -> str:
        return add_article(self.word)


def read_noun(name: str, plural: str = "") -> Noun:
    """Judge a name, `project` or `BlogPost`, or raise `UsageError`."""
    one = _judge("NAME", to_words(name))
    if plural:
        return Noun(one, _judge("PLURAL", to_words(plural)))
    if one.endswith("s") and not one.endswith(("ss", "us", "is", "news", "series")):
        raise UsageError(
            f"NAME={one} looks like many; give one of them, as in NAME={one[:-1]}, or PLURAL= too"
        )
    return Noun(one, pluralize(one))


def to_words(name: str) -> str:
    """Write `BlogPost` as `blog_post`; leave anything else as it is."""
    if _CAMEL.fullmatch(name):
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return name


def to_class_name(words: str) -> str:
    return "".join(map(str.capitalize, words.split("_")))


def add_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def pluralize(word: str) -> str:
    """Return the plural that most English words have; PLURAL= is for the others."""
    before, _, last = word.rpartition("_")
    start = f"{before}_" if before else ""
    if last in _IRREGULAR:
        return start + _IRREGULAR[last]
    if re.search(r"[^aeiou]y$", last):
        return f"{start}{last[:-1]}ies"
    if re.search(r"(s|x|z|ch|sh)$", last):
        return f"{start}{last}es"
    return f"{start}{last}s"


_IRREGULAR = {
    "analysis": "analyses",
    "child": "children",
    "data": "data",
    "man": "men",
    "media": "media",
    "news": "news",
    "person": "people",
    "quiz": "quizzes",
    "series": "series",
    "woman": "women",
}


def _judge(what: str, name: str) -> str:
    shown = ascii(name if len(name) <= 40 else f"{name[:40]}...")  # noqa: PLR2004  # of a line
    if not name:
        raise UsageError(f'{what} is missing: make domain NAME=project FIELDS="title:str(255)"')
    if not _WORDS.fullmatch(name):
        raise UsageError(f"{what}={shown} is no name: letters a to z, digits, _ between words")
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"{what}={shown} is too long: {_LONGEST_NAME} characters at most")
    if name in _VARIABLES:
        raise UsageError(f"{what}={shown} is what each service calls something else; take another")
    if keyword.iskeyword(name) or name in _BUILTINS or keyword.iskeyword(to_class_name(name)):
        raise UsageError(f"{what}={shown} is a word of Python; take another")
    return name
