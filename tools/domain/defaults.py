"""Reads the defaults that fields are given: into code, and into what JSON has."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from app.web.schemas import find_canonical_email
from tools.domain.kind import Default

LARGEST = 2**53


def read_text(text: str, length: int | None, annotation: str) -> Default:
    if length is not None and len(text) > length:
        raise ValueError(f"the default is longer than {length} characters")
    breaks = "" if annotation == "Line" else "\n\t"
    if not all(each.isprintable() or each in breaks for each in text):
        raise ValueError("the default has characters that cannot be printed")
    return Default(json.dumps(text, ensure_ascii=False), text)


def read_decimal(text: str, digits: int, places: int) -> Default:
    wrong = f"the default is no decimal({digits},{places})"
    try:
        number = Decimal(text)
        exact = number.quantize(Decimal(1).scaleb(-places))
    except InvalidOperation:
        raise ValueError(wrong) from None
    if exact != number or abs(exact) >= Decimal(1).scaleb(digits - places):
        raise ValueError(wrong)
    return Default(f'Decimal("{exact}")', str(exact))


def read_int(text: str) -> Default:
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or abs(int(text)) >= LARGEST:
        raise ValueError("the default is no whole number below 2**53")
    return Default(str(int(text)), int(text))


def read_bool(text: str) -> Default:
    if text.lower() not in {"true", "false"}:
        raise ValueError("the default is true or false")
    return Default(text.capitalize(), text.lower() == "true")


def read_date(text: str) -> Default:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("the default is like 2026-01-31") from None
    return Default(f"date({day.year}, {day.month}, {day.day})", day.isoformat())


def read_datetime(text: str) -> Default:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise ValueError("the default is like 2026-01-31T12:00:00Z")
    code = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Default(f'datetime.fromisoformat("{code}")', code)


def read_uuid(text: str) -> Default:
    try:
        value = UUID(text)
    except ValueError:
        raise ValueError("the default is a UUID") from None
    return Default(f'uuid.UUID("{value}")', str(value))


def read_email(text: str) -> Default:
    if (address := find_canonical_email(text)) is None:
        raise ValueError("the default is no e-mail address")
    return Default(json.dumps(address), address)


def read_json(text: str) -> Default:
    try:
        value = dict(json.loads(text))
    except (TypeError, ValueError):
        raise ValueError(
            "the default is an object in quotes, as in 'meta:json={\"a\": 1}'"
        ) from None
    return Default(repr(value), value)
