"""The types that take arguments: text of a length, numbers of so many digits, enums."""

import re
from decimal import Decimal

from tools.domain.defaults import read_decimal, read_text
from tools.domain.kind import Default, Kind

_LONGEST_INDEXED = 600  # characters: an entry of an index has 2,704 bytes at most
_MOST_DIGITS = 28  # of Python's decimal context


def make_text(annotation: str, numbers: tuple[int, ...], default: int | None) -> Kind:
    if len(numbers) > 1 or 0 in numbers:
        raise ValueError("text has one length, which is not 0")
    length = numbers[0] if numbers else default
    wrong = [2**64, True, ["a"], "\0"]
    if length:
        wrong.append("x" * (length + 1))
    if annotation == "Line":
        wrong.append("two\nlines"[: max(4, length or 9)])
    return Kind(
        inside=annotation,
        outside="str",
        sample="Old"[:length],
        other="New"[:length],
        wrong=wrong,
        read=lambda text: read_text(text, length, annotation),
        limits=(f"max_length={length}",) if length else (),
        numbered=_numbered_text(length),
        can_be_indexed=length is not None and length <= _LONGEST_INDEXED,
        is_text=True,
        length=length,
    )


def _numbered_text(length: int | None) -> str:
    return 'f"{label} {number}"' if length is None or length >= 40 else f"str(number)[-{length}:]"  # noqa: PLR2004  # the longest name and a number


def make_decimal(numbers: tuple[int, ...]) -> Kind:
    digits, places = numbers if len(numbers) == 2 else (*numbers, 0)[:2] if numbers else (12, 2)  # noqa: PLR2004  # digits, places
    if len(numbers) > 2 or not 0 < digits <= _MOST_DIGITS or places > digits:  # noqa: PLR2004
        raise ValueError(
            f"decimal(digits,places) has {_MOST_DIGITS} digits at most, places of them"
        )
    unit = Decimal(1).scaleb(-places)
    return Kind(
        inside=f"Annotated[Decimal, Places({digits}, {places})]",
        outside="Decimal",
        sample=str(unit),
        other=str(2 * unit),
        wrong=[1.5, True, "1e1", "NaN", f"1{'0' * (digits - places)}", f"0.{'0' * places}1"],
        read=lambda text: read_decimal(text, digits, places),
        limits=(f"max_digits={digits}", f"decimal_places={places}"),
        shown="str({})",
        numbered=f"format(Decimal(number).scaleb({-places}), 'f')",
    )


def make_enum(members: tuple[str, ...], class_name: str) -> Kind:
    names = [to_member(each) for each in members]
    if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", each) for each in members):
        raise ValueError("enum(a,b) has words without blanks between them")
    if len(set(names)) < len(names):
        raise ValueError("enum has a member twice")
    if too_long := [each for each in members if len(each) > 63]:  # noqa: PLR2004  # as PostgreSQL
        raise ValueError(f"enum has a member of {len(too_long[0])} characters")

    def read(text: str) -> Default:
        if text not in members:
            raise ValueError(f"the default is not one of {', '.join(members)}")
        return Default(f"{class_name}.{to_member(text)}", text)

    return Kind(
        inside=class_name,
        outside=class_name,
        sample=members[0],
        other=members[-1],
        wrong=["no member", 1, True],
        read=read,
        members=members,
    )


def to_member(value: str) -> str:
    return value.upper().replace("-", "_")
