"""What there is to know of a type that a field can have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Default(NamedTuple):
    code: str
    value: Any  # as JSON has it


@dataclass(frozen=True)
class Kind:
    """Code and samples of one type; `sample`, `other` and `wrong` are as JSON has them."""

    inside: str  # the annotation of input
    outside: str  # the annotation of output
    sample: Any
    other: Any
    wrong: list[Any]
    read: Callable[[str], Default]
    limits: tuple[str, ...] = ()  # arguments of Field, in the model and in the schemas
    column: tuple[str, ...] = ()  # the same, in the model alone
    shown: str = "{}"  # the row's value as JSON, of the code that reads it
    numbered: str = ""  # a value for each `number`, as code; "" if it cannot be unique
    can_be_indexed: bool = True
    is_text: bool = False
    length: int | None = None
    members: tuple[str, ...] = field(default=())
    """Of an enum, which then has a class of its own."""
