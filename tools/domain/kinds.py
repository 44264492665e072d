"""The types that a field can have: in the model, on the wire, and in the tests."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from uuid import UUID

from app.web.schemas import find_canonical_email

_LONGEST_INDEXED = 600  # characters: an entry of an index has 2,704 bytes at most
_MOST_DIGITS = 28  # of Python's decimal context
LARGEST = 2**53


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


def make_kind(name: str, arguments: str | None, class_name: str) -> Kind:
    """Return the type `name(arguments)`; an enum's class is called `class_name`."""
    if name == "enum":
        return _enum(_split(arguments), class_name)
    if name in _WITH_ARGUMENTS:
        return _WITH_ARGUMENTS[name](_numbers(name, arguments))
    if arguments is not None:
        raise ValueError(f"{name} takes no arguments")
    return _KINDS[name]


def _split(arguments: str | None) -> tuple[str, ...]:
    return tuple((arguments or "").split(","))


def _numbers(name: str, arguments: str | None) -> tuple[int, ...]:
    if arguments is None:
        return ()
    numbers = _split(arguments)
    if not all(re.fullmatch(r"[0-9]{1,8}", each) for each in numbers):
        raise ValueError(f"{name}({arguments}) needs numbers")
    return tuple(map(int, numbers))


def _text(annotation: str, numbers: tuple[int, ...], default: int | None) -> Kind:
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
        read=lambda text: _read_text(text, length, annotation),
        limits=(f"max_length={length}",) if length else (),
        numbered=_numbered_text(length),
        can_be_indexed=length is not None and length <= _LONGEST_INDEXED,
        is_text=True,
        length=length,
    )


def _numbered_text(length: int | None) -> str:
    return 'f"{label} {number}"' if length is None or length >= 40 else f"str(number)[-{length}:]"  # noqa: PLR2004  # the longest name and a number


def _read_text(text: str, length: int | None, annotation: str) -> Default:
    if length is not None and len(text) > length:
        raise ValueError(f"the default is longer than {length} characters")
    breaks = "" if annotation == "Line" else "\n\t"
    if not all(each.isprintable() or each in breaks for each in text):
        raise ValueError("the default has characters that cannot be printed")
    return Default(json.dumps(text, ensure_ascii=False), text)


def _decimal(numbers: tuple[int, ...]) -> Kind:
    digits, places = numbers if len(numbers) == 2 else (*numbers, 0)[:2] if numbers else (12, 2)  # noqa: PLR2004  # digits, places
    if len(numbers) > 2 or not 0 < digits <= _MOST_DIGITS or places > digits:  # noqa: PLR2004
        raise ValueError(
            f"decimal(digits,places) has {_MOST_DIGITS} digits at most, places of them"
        )
    unit = Decimal(1).scaleb(-places)

    def read(text: str) -> Default:
        try:
            number = Decimal(text)
            exact = number.quantize(unit)
        except InvalidOperation:
            raise ValueError(f"the default is no decimal({digits},{places})") from None
        if exact != number or abs(exact) >= Decimal(1).scaleb(digits - places):
            raise ValueError(f"the default is no decimal({digits},{places})")
        return Default(f'Decimal("{exact}")', str(exact))

    return Kind(
        inside=f"Annotated[Decimal, Places({digits}, {places})]",
        outside="Decimal",
        sample=str(unit),
        other=str(2 * unit),
        wrong=[1.5, True, "1e1", "NaN", f"1{'0' * (digits - places)}", f"0.{'0' * places}1"],
        read=read,
        limits=(f"max_digits={digits}", f"decimal_places={places}"),
        shown="str({})",
        numbered=f"format(Decimal(number).scaleb({-places}), 'f')",
    )


def _enum(members: tuple[str, ...], class_name: str) -> Kind:
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


def _read_int(text: str) -> Default:
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or abs(int(text)) >= LARGEST:
        raise ValueError("the default is no whole number below 2**53")
    return Default(str(int(text)), int(text))


def _read_bool(text: str) -> Default:
    if text.lower() not in {"true", "false"}:
        raise ValueError("the default is true or false")
    return Default(text.capitalize(), text.lower() == "true")


def _read_date(text: str) -> Default:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("the default is like 2026-01-31") from None
    return Default(f"date({day.year}, {day.month}, {day.day})", day.isoformat())


def _read_datetime(text: str) -> Default:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise ValueError("the default is like 2026-01-31T12:00:00Z")
    code = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Default(f'datetime.fromisoformat("{code}")', code)


def _read_uuid(text: str) -> Default:
    try:
        value = UUID(text)
    except ValueError:
        raise ValueError("the default is a UUID") from None
    return Default(f'uuid.UUID("{value}")', str(value))


def _read_email(text: str) -> Default:
    if (address := find_canonical_email(text)) is None:
        raise ValueError("the default is no e-mail address")
    return Default(json.dumps(address), address)


def _read_json(text: str) -> Default:
    try:
        value = dict(json.loads(text))
    except (TypeError, ValueError):
        raise ValueError(
            "the default is an object in quotes, as in 'meta:json={\"a\": 1}'"
        ) from None
    return Default(repr(value), value)


_WITH_ARGUMENTS: dict[str, Callable[[tuple[int, ...]], Kind]] = {
    "str": lambda numbers: _text("Line", numbers, 255),
    "text": lambda numbers: _text("Text", numbers, None),
    "decimal": _decimal,
}

_KINDS = {
    "int": Kind(
        inside="Whole",
        outside="int",
        sample=1,
        other=2,
        wrong=[2**53, -(2**53), 1.5, True, "1"],
        read=_read_int,
        # Beyond these, JavaScript and many others do not read a number exactly.
        limits=("gt=-(2**53)", "lt=2**53"),
        column=("sa_type=BigInteger",),
        numbered="number",
    ),
    "bool": Kind(
        inside="StrictBool",
        outside="bool",
        sample=False,
        other=True,
        wrong=["true", 0, 1],
        read=_read_bool,
    ),
    "date": Kind(
        inside="Day",
        outside="date",
        sample="2026-01-31",
        other="2028-02-29",
        wrong=["2026-02-29", "2026-01-31T00:00:00Z", "20260131", 0],
        read=_read_date,
        shown="{}.isoformat()",
        numbered="str(date(2026, 1, 31) + timedelta(number))",
    ),
    "datetime": Kind(
        inside="Instant",
        outside="datetime",
        sample="2026-01-31T12:00:00Z",
        other="2028-02-29T23:59:59.999999Z",
        wrong=["2026-01-31", "2026-01-31T12:00:00", "0001-01-01T00:00:00+01:00", 0],
        read=_read_datetime,
        shown='{}.isoformat().replace("+00:00", "Z")',
        numbered='f"{date(2026, 1, 31) + timedelta(number)}T12:00:00Z"',
    ),
    "uuid": Kind(
        inside="uuid.UUID",
        outside="uuid.UUID",
        sample="00000000-0000-4000-8000-000000000001",
        other="00000000-0000-4000-8000-000000000002",
        wrong=["1", 1, True],
        read=_read_uuid,
        shown="str({})",
        numbered="str(UUID(int=number))",
    ),
    "email": Kind(
        inside="Email",
        outside="PublicEmail",
        sample="ada@example.com",
        other="grace@example.com",
        wrong=["nobody", "a@b@example.com", 1],
        read=_read_email,
        limits=("max_length=255",),
        numbered='f"{number}@example.com"',
    ),
    "json": Kind(
        inside="JsonObject",
        outside="dict[str, JsonValue]",
        sample={"a": [1, None]},
        other={},
        wrong=[[], "{}", 1],
        read=_read_json,
        column=("sa_type=JSON",),
        can_be_indexed=False,
    ),
}

TYPE_NAMES = (*_WITH_ARGUMENTS, *_KINDS, "enum")
TYPES = ", ".join(TYPE_NAMES[:-1]) + ", enum(a,b)"
