"""Values for fields of models that JSON has no exact type for: instants, days, numbers, objects."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, JsonValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(_DAY.pattern + r"[Tt][0-9:.]{8,}([Zz]|[+-][0-9]{2}:[0-9]{2})")


def _written_as(pattern: re.Pattern[str], error: PydanticCustomError) -> BeforeValidator:
    """Refuse what pydantic would take besides: seconds since 1970, as a number or in text."""

    def check(value: Any) -> Any:
        if isinstance(value, date) or (isinstance(value, str) and pattern.fullmatch(value)):
            return value
        raise error

    return BeforeValidator(check)


def _in_utc(instant: datetime) -> datetime:
    """Give each instant one form. At the ends of the calendar there is none."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise _NO_INSTANT from None


_NO_INSTANT = PydanticCustomError("instant", "Input should be like 2026-01-31T12:00:00Z")
_NO_DAY = PydanticCustomError("day", "Input should be like 2026-01-31")

Instant = Annotated[datetime, _written_as(_INSTANT, _NO_INSTANT), AfterValidator(_in_utc)]
"""A date and a time with their distance from UTC, as RFC 3339 writes them."""

Day = Annotated[date, _written_as(_DAY, _NO_DAY)]
"""A date."""


def _no_stand_in(value: Any) -> Any:
    """Refuse what pydantic would take for a number: true, and digits in text."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("whole", "Input should be a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_no_stand_in)]
"""A whole number; 2.0 is one, as JSON does not tell it from 2."""


def _sendable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse lone surrogates, which JSON can escape and no answer can carry."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "Input should be Unicode") from None
    return value


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_sendable)]
"""Any JSON object."""


@dataclass(frozen=True)
class Places:
    """Of a `Decimal`: it is sent as text, which is exact everywhere, and has all its places."""

    digits: int
    places: int

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Tell pydantic how such a value is read, written and documented."""
        text = core_schema.str_schema(pattern=self._pattern())
        return core_schema.no_info_plain_validator_function(
            self._read,
            json_schema_input_schema=text,
            serialization=core_schema.to_string_ser_schema(),
        )

    def _pattern(self) -> str:
        fraction = rf"(\.[0-9]{{1,{self.places}}})?" if self.places else ""
        return rf"^-?[0-9]{{1,{max(1, self.digits - self.places)}}}{fraction}$"

    def _read(self, value: Any) -> Decimal:
        if isinstance(value, Decimal):
            value = format(value, "f")
        if isinstance(value, str) and re.fullmatch(self._pattern(), value):
            number = Decimal(value).quantize(Decimal(1).scaleb(-self.places)) + 0  # which has no -0
            if abs(number) < Decimal(1).scaleb(self.digits - self.places):
                return number
        raise PydanticCustomError(
            "decimal_text",
            "Input should be text with {digits} digits at most, {places} of them decimal places",
            {"digits": self.digits, "places": self.places},
        )
