"""What was seen of one statement of a revision."""

from collections.abc import Iterable
from dataclasses import dataclass, field

STRENGTH = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
_STOPS_WRITERS = STRENGTH.index("ShareLock")
_STOPS_READERS = STRENGTH.index("AccessExclusiveLock")
THRESHOLD = 0.3  # seconds: as long as the package itself waits for a lock, and others behind it


@dataclass
class Statement:
    """One statement, or the same one many times in a row; times are in seconds."""

    sql: str
    seconds: float = 0.0
    locks: dict[tuple[str, str], float] = field(default_factory=dict)  # table, mode: longest hold
    read: int = 0
    written: int = 0
    changed: int = 0  # updated or deleted: rows that others wait for
    changed_for: float = 0.0
    rewritten: list[str] = field(default_factory=list)
    wal: int = 0
    under_earlier_locks: bool = False  # of its transaction
    times: int = 1

    @property
    def strongest(self) -> tuple[str, str, float] | None:
        """Return table, mode and seconds of the strongest lock that it has taken."""
        if not self.locks:
            return None
        (table, mode), seconds = max(self.locks.items(), key=_by_strength)
        return table, mode, seconds

    @property
    def stops(self) -> list[str]:
        """Say whom it would keep waiting for longer than they should."""
        long = {
            table: mode
            for (table, mode), seconds in sorted(self.locks.items(), key=_by_strength)
            if seconds > THRESHOLD and STRENGTH.index(mode) >= _STOPS_WRITERS
        }  # of several modes, the strongest comes last
        found = [
            f"{table}: {_who(mode)} wait for {self.locks[table, mode]:.1f} s"
            for table, mode in long.items()
        ]
        if self.changed_for > THRESHOLD:
            found.append(
                f"writers of the {self.changed:,} rows that it changes wait for"
                f" {self.changed_for:.1f} s"
            )
        return found

    def joined(self, other: "Statement") -> "Statement":
        """Add the same statement's next time, such as a batch."""
        locks = {
            lock: max(self.locks.get(lock, 0.0), other.locks.get(lock, 0.0))
            for lock in (*self.locks, *other.locks)
        }
        return Statement(
            self.sql,
            self.seconds + other.seconds,
            locks,
            self.read + other.read,
            self.written + other.written,
            max(self.changed, other.changed),
            max(self.changed_for, other.changed_for),
            sorted({*self.rewritten, *other.rewritten}),
            self.wal + other.wal,
            self.under_earlier_locks or other.under_earlier_locks,
            self.times + other.times,
        )


def condensed(statements: Iterable[Statement]) -> list[Statement]:
    """Count the same statement in a row once."""
    found: list[Statement] = []
    for each in statements:
        if found and found[-1].sql == each.sql:
            found[-1] = found[-1].joined(each)
        else:
            found.append(each)
    return found


def _by_strength(lock: tuple[tuple[str, str], float]) -> tuple[int, float]:
    (_, mode), seconds = lock
    return STRENGTH.index(mode), seconds


def _who(mode: str) -> str:
    return "readers and writers" if STRENGTH.index(mode) >= _STOPS_READERS else "writers"
