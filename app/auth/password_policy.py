"""Which new passwords are taken: long ones that are not easily guessed, least of all from the user.

No rule about their composition, and no rotation (NIST SP 800-63B-4, section 3.1.1.2).
"""

import re
from collections.abc import Iterable, Iterator

from pydantic import Secret
from zxcvbn_rs_py import zxcvbn

from app.web.errors import InvalidField
from app.web.languages import N_

_SCORE = 3  # of 4: more than 10^8 guesses, by zxcvbn's estimate
_OWN_CHARACTERS = 8  # what must be left without the words that anybody would try first
_SHORTEST_WORD = 3
# The estimate takes 700 ms for 128 characters chosen to that end, 30 ms for this many, and less
# than 1 ms for those that people choose; meanwhile the process does nothing else.
_JUDGED = 24
_TOO_EASY = N_("Too easy to guess.")


class PasswordRefused(InvalidField):
    """The new password is too short or too easily guessed."""


class PasswordPolicy:
    """`min_length` counts code points; `application` is a name that no password is made of."""

    def __init__(self, *, min_length: int, application: str) -> None:
        self._min_length = min_length
        self._application = application

    def check(self, password: Secret[str], *, field: str, about: Iterable[str | None]) -> None:
        """Raise `PasswordRefused`, about this field of the body, unless the password will do.

        `about` is what is known of the user: the address and the full name.
        """
        chosen = password.get_secret_value()
        if len(chosen) < self._min_length:
            message = f"String should have at least {self._min_length} characters"
            raise PasswordRefused(field, message, type="string_too_short")
        words = _find_words([self._application, *about])
        if len(_remove(words, chosen)) < _OWN_CHARACTERS:
            message = N_("Should not be made of your name or address, or of this service's name")
            raise PasswordRefused(field, message, type="password_from_own_words")
        if reason := _find_weakness(chosen, words):
            raise PasswordRefused(field, reason, type="password_too_guessable")


def _find_words(texts: Iterable[str | None]) -> list[str]:
    """Return the texts, the halves of an address, and all their words, the longest first."""
    words = {word for text in texts if text for word in _split(text.casefold())}
    return sorted((word for word in words if len(word) >= _SHORTEST_WORD), key=len, reverse=True)


def _split(text: str) -> Iterator[str]:
    yield text
    yield from text.split("@")
    yield from re.split(r"[\W_]+", text)


def _remove(words: list[str], password: str) -> str:
    return re.sub("|".join(map(re.escape, words)), "", password.casefold())


def _find_weakness(password: str, words: list[str]) -> str | None:
    judgement = zxcvbn(password[:_JUDGED], words)
    if int(judgement.score) >= _SCORE:
        return None
    # It names a kind of weakness, and never what was typed.
    feedback = judgement.feedback
    advice = feedback and (feedback.warning or next(iter(feedback.suggestions), None))
    return f"{_TOO_EASY} {advice or ''}".rstrip()
