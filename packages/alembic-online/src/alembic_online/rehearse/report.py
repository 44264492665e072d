"""The table of what each revision has done, and whom it would keep waiting."""

from collections.abc import Iterable, Iterator

from alembic_online.rehearse.statements import Statement

_HEAD = ("took", "lock held", "strongest lock", "read", "written", "rewritten", "WAL", "statement")
_RIGHT = {0, 1, 3, 4, 6}  # columns of numbers
_SQL_LENGTH = 72
_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000


def table(statements: Iterable[Statement]) -> Iterator[str]:
    """Return aligned lines, one for each statement."""
    rows = [_HEAD, *map(_row, statements)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join(cells).rstrip()


def stops(statements: Iterable[Statement]) -> Iterator[tuple[str, str]]:
    """Say what would keep clients waiting: each statement that does, and a line about it."""
    for each in statements:
        if each.stops:
            yield each.sql, "\n    ".join([_short(each), *each.stops])


def _row(each: Statement) -> tuple[str, ...]:
    lock = each.strongest
    held = _time(lock[2]) if lock else ""
    return (
        _time(each.seconds),
        held,
        f"{_words(lock[1])} on {lock[0]}" if lock else "as before" * each.under_earlier_locks,
        f"{each.read:,}" if each.read else "",
        f"{each.written:,}" if each.written else "",
        ", ".join(each.rewritten),
        _bytes(each.wal),
        _short(each),
    )


def _words(mode: str) -> str:
    """Write AccessExclusiveLock as the manual does."""
    name = mode.removesuffix("Lock")
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip().upper()


def _time(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _bytes(number: float) -> str:
    for unit in _UNITS:
        if number < _THOUSAND or unit == _UNITS[-1]:
            break
        number /= _THOUSAND
    return f"{number:,.0f} {unit}"


def _short(each: Statement) -> str:
    sql = each.sql if len(each.sql) <= _SQL_LENGTH else f"{each.sql[: _SQL_LENGTH - 3]}..."
    return f"{each.times:,} times {sql}" if each.times > 1 else sql
