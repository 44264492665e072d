"""Writes docstrings, in the words of the shipped domains, that fit into a line."""

from tools.domain.fields import Definition
from tools.domain.words import pluralize

_LONGEST_LINE = 100
_QUOTES = 6


def describe_functions(definition: Definition, errors: list[str]) -> dict[str, list[str]]:
    """Return what each function's docstring may be, the best first."""
    noun, owned = definition.noun, definition.is_owned
    missing = f"{noun.class_name}NotFound"
    added = f"Add {noun.a}{' that `user` owns' if owned else ''}"
    changed = "Change the fields that were sent"
    errors_of_update = dict.fromkeys([missing, *errors[1:]])
    return {
        "create_sentences": [
            f"{added}, or return the one that was sent before; see `{errors[0]}`.",
            f"{added}, or return the one that was sent before.",
            "Add one, or return the one that was sent before.",
        ],
        "update_sentences": [
            f"{changed}{_or_raise([*errors_of_update])}.",
            f"{changed}{_or_raise([missing])}.",
        ],
        **_describe_lists(definition),
    }


def _describe_lists(definition: Definition) -> dict[str, list[str]]:
    words, owned = definition.noun.words, definition.is_owned
    searched = [pluralize(each.name).replace("_", " ") for each in definition.searched]
    whose, own = ("the caller's", "the user's own") if owned else ("all", "all")
    listed = f"List {whose} {words}, newest first"
    returned = f"Return a page of {own} {words}, newest first"
    looks = [f"; `search` looks in {each}." for each in (_join(searched, "and"), "all text")]
    contain = ", that contain `query.search`" if searched else ""
    return {
        "list_descriptions": [
            *(f"{listed}{each}" for each in looks if searched),
            f"{listed}.",
            "List them, newest first.",
        ],
        "list_sentences": [f"{returned}{contain}.", "Return a page of them, newest first."],
    }


def _or_raise(errors: list[str]) -> str:
    return f", or raise {_join([f'`{each}`' for each in errors], 'or')}" if errors else ""


def _join(words: list[str], last: str) -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def write_sentence(indent: int, *alternatives: str) -> str:
    """Return the first of the sentences that fits into a docstring of one line."""
    return _first_that_fits(_LONGEST_LINE - indent - _QUOTES, alternatives)


def write_comment(indent: int, *alternatives: str) -> str:
    return _first_that_fits(_LONGEST_LINE - indent - len("# "), alternatives)


def _first_that_fits(width: int, alternatives: tuple[str, ...]) -> str:
    return next((each for each in alternatives if len(each) <= width), alternatives[-1])
