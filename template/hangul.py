"""Korean in Latin letters, by the letters of the Revised Romanization."""

# In Unicode's order; a dot is a letter that is not heard, or not there.
_FIRST = "g kk n d tt r m b pp s ss . j jj ch k t p h"
_MIDDLE = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i"
_LAST = ". k k k n n n t l k m l l l p l m p p t t ng t t k t p t"
_FIRST_LETTERS, _MIDDLE_LETTERS, _LAST_LETTERS = (
    letters.replace(".", "").split(" ") for letters in (_FIRST, _MIDDLE, _LAST)
)
_START, _SYLLABLES = 0xAC00, 11172


def romanize(text: str) -> str:
    """Write each syllable in Latin letters, and leave everything else as it is."""
    return "".join(map(_romanize, text))


def _romanize(letter: str) -> str:
    number = ord(letter) - _START
    if not 0 <= number < _SYLLABLES:
        return letter
    first, rest = divmod(number, len(_MIDDLE_LETTERS) * len(_LAST_LETTERS))
    middle, last = divmod(rest, len(_LAST_LETTERS))
    return _FIRST_LETTERS[first] + _MIDDLE_LETTERS[middle] + _LAST_LETTERS[last]
