"""Changes of type that keep every value as it is, whatever rows another database has."""

from typing import Any

import sqlalchemy as sa

_DOUBLE_DIGITS = 15  # decimal digits that a double holds


def is_lossless(old: Any, new: Any) -> bool:
    while isinstance(new, sa.TypeDecorator):
        new = new.impl_instance
    if isinstance(new, sa.Text) or (isinstance(new, sa.String) and not isinstance(new, sa.Enum)):
        return new.length is None
    if isinstance(old, sa.Date):
        return isinstance(new, sa.DateTime)
    before, after = _digits(old), _digits(new)
    if before is None or after is None:
        return False
    return all(has >= needs for needs, has in zip(before, after, strict=True))


def _digits(type_: Any) -> tuple[float, float] | None:
    """Return how many digits a number may have before, and how many after the point."""
    if isinstance(type_, sa.Integer):
        return _integer_digits(type_), 0
    if isinstance(type_, sa.Float):
        return None if type_.precision and type_.precision <= 24 else (_DOUBLE_DIGITS, 0)  # noqa: PLR2004  # bits of a real
    if isinstance(type_, sa.Numeric):
        if type_.precision is None:
            return float("inf"), float("inf")
        return type_.precision - (type_.scale or 0), type_.scale or 0
    return None


def _integer_digits(type_: sa.Integer) -> int:
    if isinstance(type_, sa.SmallInteger):
        return 5
    return 19 if isinstance(type_, sa.BigInteger) else 10
