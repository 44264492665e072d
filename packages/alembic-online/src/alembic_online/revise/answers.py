"""What the developer says to a risky change: `-x verb=subject`, or yes on a terminal."""

import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from alembic.util import CommandError

VERBS = (
    "rename",
    "expand",
    "using",
    "drop",
    "keep",
    "shrink",
    "rewrite",
    "zone",
    "break",
    "fill",
)


class Answers:
    """Collects what was allowed, for the file, and what is still open, for the refusal."""

    def __init__(self, extras: Iterable[str]) -> None:
        pairs = (extra.partition("=")[::2] for extra in extras)
        self._given = [(verb, subject) for verb, subject in pairs if verb in VERBS]
        self._used: set[tuple[str, str]] = set()
        self._declined: set[str] = set()
        self._questions: list[tuple[str, str, str, str]] = []
        self.allowed: list[str] = []
        self.missing: list[str] = []

    def is_given(self, verb: str, subject: str) -> bool:
        self._used.add((verb, subject))
        return (verb, subject) in self._given

    def given(self, verb: str, subject: str) -> str | None:
        """Return VALUE of `-x verb=subject:VALUE`."""
        for found, text in self._given:
            if found == verb and text.startswith(f"{subject}:"):
                self._used.add((verb, text))
                return text.removeprefix(f"{subject}:")
        return None

    def expands(self, old: str, column: str, name: str) -> bool:
        """Tell whether `-x expand=` names both: `user.age:age_int`, or `user.age:int` for short."""
        words = {name, name.removeprefix(f"{column}_")}
        return any(self.is_given("expand", f"{old}:{word}") for word in words)

    def note_kept(self, subjects: Iterable[str]) -> None:
        """Count `-x keep=` as used for what was left out of the comparison."""
        self._used.update(("keep", subject) for subject in subjects)

    def confirm_rename(self, old: str, new: str, name: str, in_python: str) -> bool:
        """Tell whether `old` became `new`; `in_python` is how to do without a migration."""
        if self.is_given("rename", f"{old}:{name}"):
            return True
        pair = f"{old}:{new}"
        if pair in self._declined or self.is_given("drop", old):
            return False
        self._declined.add(pair)
        question = (
            f"{old} is gone and {new} is new. If that is only a new name in Python, the database\n"
            f"can keep the old one, without a migration and without breaking a running version:\n"
            f"    {in_python}\n"
        )
        if _is_terminal():
            return _says_yes(f"{question}Was {old} renamed to {new}?")
        self.missing.append(
            f"{question}If it is a rename in the database too, its data is kept, and a running"
            f" version goes on, with\n    -x expand={old}:{name}\n"
            f"or, where none has to, by a rename in one step:\n    -x rename={old}:{name}\n"
            f"If it is none, say so with\n    -x drop={old}"
        )
        return False

    def allow(self, verb: str, subject: str, effect: str, advice: str = "") -> None:
        """Go on only if the developer wants `effect`, which `settle` will ask."""
        self._questions.append((verb, subject, f"{subject}: {effect}.", advice))

    def refuse(self, reason: str) -> None:
        if reason not in self.missing:
            self.missing.append(reason)

    def unused(self) -> list[str]:
        """Return the answers that no question was asked for."""
        return [f"{verb}={text}" for verb, text in self._given if (verb, text) not in self._used]

    def settle(self, show: Callable[[str], None]) -> None:
        """Ask what is to be asked, and raise `CommandError` if a question stays open.

        Not before all is known, so that nobody thinks over an answer while a trial holds a lock.
        """
        given = [self.is_given(verb, subject) for verb, subject, _, _ in self._questions]
        for answer in self.unused():
            self.refuse(f"-x {answer}: this change has no such question. Is the name right?")
        may_ask = not self.missing  # what is refused anyway need not be asked about
        for question, is_given in zip(self._questions, given, strict=True):
            verb, subject, sentence, advice = question
            explained = f"{sentence}\n{advice}\n" if advice else f"{sentence} "
            if is_given or (may_ask and _says_yes(f"{explained}Go ahead?")):
                self.allowed.append(f"{_HEADINGS[verb]}: {sentence}")
            else:
                self.refuse(f"{explained}If that is what you want:\n    -x {verb}={subject}")
        if self.missing:
            self._refuse(show)

    def _refuse(self, show: Callable[[str], None]) -> NoReturn:
        reasons = "\n\n".join(self.missing)
        if _is_terminal():  # where Alembic would make one paragraph of all lines
            show(f"\n{reasons}\n")
            reasons = ""
        raise CommandError(f"{_HEAD}\n\n{reasons}\n\n{_FOOT}" if reasons else f"{_HEAD}. {_FOOT}")


_HEAD = "this change needs an answer before it can be a migration"
_FOOT = (
    "Nothing was written. Pass -x before the command: alembic -x ANSWER revision --autogenerate ..."
)
_HEADINGS = {
    "drop": "DESTRUCTIVE",
    "shrink": "DESTRUCTIVE",
    "rewrite": "BLOCKING",
    "break": "BREAKING",
}


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _says_yes(question: str) -> bool:
    if not _is_terminal():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
