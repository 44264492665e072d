"""What values go through JSON as: each has one form, and none is refused when it is sent back."""

import json
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

from app.web.values import Day, Instant, JsonObject, Places, Whole


class Values(BaseModel):
    instant: Instant | None = None
    day: Day | None = None
    whole: Whole | None = None
    price: Annotated[Decimal, Places(6, 2)] | None = None
    meta: JsonObject | None = None


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ({"instant": "2026-01-31T12:00:00+05:30"}, "2026-01-31T06:30:00Z"),
        ({"instant": "2026-01-31t12:00:00.5z"}, "2026-01-31T12:00:00.500000Z"),
        ({"day": "0001-01-01"}, "0001-01-01"),
        ({"whole": 2.0}, 2),
        ({"price": "9999.9"}, "9999.90"),
        ({"price": "-0"}, "0.00"),
        ({"price": Decimal("1e2")}, "100.00"),
        ({"meta": {"文": ["\0", None, 1e308]}}, {"文": ["\0", None, 1e308]}),
    ],
)
def test_value_has_one_form(sent: dict[str, Any], answered: Any) -> None:
    (name,) = sent
    assert json.loads(Values(**sent).model_dump_json())[name] == answered


@pytest.mark.parametrize(
    "sent",
    [
        *({"instant": each} for each in (0, "0", "2026-01-31", "2026-01-31T12:00:00", True)),
        {"instant": "0001-01-01T00:00:00+01:00"},
        {"instant": "9999-12-31T23:59:59-01:00"},
        *({"day": each} for each in (0, "0", "2026-02-29", "20260131", "\u0662026-01-31")),
        *({"whole": each} for each in (True, "1", 1.5)),
        *(
            {"price": each}
            for each in (1, 1.5, "1e2", "10000", "0.001", "\u0661", "1_0", " 1", "NaN")
        ),
        {"meta": []},
        {"meta": {"a": "\ud800"}},
        {"meta": {"\ud800": 1}},
    ],
)
def test_value_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Values(**sent)
