"""The types that a field can have: in the model, on the wire, and in the tests."""

import re
from collections.abc import Callable

from tools.domain import defaults
from tools.domain.kind import Kind
from tools.domain.parameters import make_decimal, make_enum, make_text


def make_kind(name: str, arguments: str | None, class_name: str) -> Kind:
    """Return the type `name(arguments)`; an enum's class is called `class_name`."""
    if name == "enum":
        return make_enum(_split(arguments), class_name)
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


_WITH_ARGUMENTS: dict[str, Callable[[tuple[int, ...]], Kind]] = {
    "str": lambda numbers: make_text("Line", numbers, 255),
    "text": lambda numbers: make_text("Text", numbers, None),
    "decimal": make_decimal,
}

_KINDS = {
    "int": Kind(
        inside="Whole",
        outside="int",
        sample=1,
        other=2,
        wrong=[2**53, -(2**53), 1.5, True, "1"],
        read=defaults.read_int,
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
        read=defaults.read_bool,
    ),
    "date": Kind(
        inside="Day",
        outside="date",
        sample="2026-01-31",
        other="2028-02-29",
        wrong=["2026-02-29", "2026-01-31T00:00:00Z", "20260131", 0],
        read=defaults.read_date,
        shown="{}.isoformat()",
        numbered="str(date(2026, 1, 31) + timedelta(number))",
    ),
    "datetime": Kind(
        inside="Instant",
        outside="datetime",
        sample="2026-01-31T12:00:00Z",
        other="2028-02-29T23:59:59.999999Z",
        wrong=["2026-01-31", "2026-01-31T12:00:00", "0001-01-01T00:00:00+01:00", 0],
        read=defaults.read_datetime,
        shown='{}.isoformat().replace("+00:00", "Z")',
        numbered='f"{date(2026, 1, 31) + timedelta(number)}T12:00:00Z"',
    ),
    "uuid": Kind(
        inside="uuid.UUID",
        outside="uuid.UUID",
        sample="00000000-0000-4000-8000-000000000001",
        other="00000000-0000-4000-8000-000000000002",
        wrong=["1", 1, True],
        read=defaults.read_uuid,
        shown="str({})",
        numbered="str(UUID(int=number))",
    ),
    "email": Kind(
        inside="Email",
        outside="PublicEmail",
        sample="ada@example.com",
        other="grace@example.com",
        wrong=["nobody", "a@b@example.com", 1],
        read=defaults.read_email,
        limits=("max_length=255",),
        numbered='f"{number}@example.com"',
    ),
    "json": Kind(
        inside="JsonObject",
        outside="dict[str, JsonValue]",
        sample={"a": [1, None]},
        other={},
        wrong=[[], "{}", 1],
        read=defaults.read_json,
        column=("sa_type=JSON",),
        can_be_indexed=False,
    ),
}

TYPE_NAMES = (*_WITH_ARGUMENTS, *_KINDS, "enum")
TYPES = ", ".join(TYPE_NAMES[:-1]) + ", enum(a,b)"
