"""A fault, and how one is tried: before, during and after, under the clients' load."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tests.faults.clients import THREADS, Answer, Clients, Ledger

_BEFORE = 1.0  # seconds of undisturbed work
_PATIENCE = 15.0  # seconds behind the promise, to see how long it really takes


class Stage(Protocol):
    """What a fault befalls. `complaints` are what it has found wrong beside its ledger."""

    clients: Clients
    ledger: Ledger
    complaints: list[str]

    def query(self, statement: str, *values: Any) -> list[Any]: ...

    def restart(self) -> None:
        """Start the service anew."""


S = TypeVar("S", bound=Stage)


def _do_nothing(_: object) -> None:
    """Leave the stage as it is."""


@dataclass(frozen=True)
class Fault(Generic[S]):
    """`inflict` ends when the cause is gone, or says since when; the promise counts from then."""

    name: str
    promise: float  # seconds until everybody is served again
    inflict: Callable[[S], float | None]
    prepare: Callable[[S], None] = _do_nothing
    clean: Callable[[S], None] = _do_nothing
    find_missing: Callable[[S], str | None] = _do_nothing

    def is_wanted(self, parts: Sequence[str]) -> bool:
        return not parts or any(part in self.name for part in parts)


@dataclass(frozen=True)
class Result:
    """A line of the table, and what is wrong with it."""

    name: str
    answers: list[Counter[int]]  # of each service
    longest: float
    acknowledged: int
    lost: int
    stale: int
    in_doubt: int
    """Answered as unknown, or not at all, and there."""
    well_after: float | None
    wrong: list[str]

    @property
    def well(self) -> str:
        return "never" if self.well_after is None else f"{self.well_after:.1f} s"


def show(answers: Counter[int]) -> str:
    return ", ".join(f"{status or 'none'}: {n}" for status, n in sorted(answers.items()))


def try_fault(fault: Fault[S], stage: S) -> Result:
    stage.complaints.clear()
    fault.prepare(stage)
    try:
        with stage.clients.running(fault.name) as ledger:
            stage.ledger = ledger
            time.sleep(_BEFORE)
            mended = fault.inflict(stage) or time.monotonic()
            _watch(ledger, mended, fault.promise + _PATIENCE)
        result = _judge(fault, stage, ledger, mended)
        if result.well_after is None:
            stage.restart()  # or all that follows would fail with it
        return result
    finally:
        fault.clean(stage)


def _watch(ledger: Ledger, mended: float, patience: float) -> None:
    while (now := time.monotonic()) < mended + patience:
        if now > mended + 2 and ledger.is_calm(mended, now):
            return
        time.sleep(0.1)


def _judge(fault: Fault[S], stage: S, ledger: Ledger, mended: float) -> Result:
    found = [_count_found(stage, each) for each in (ledger.acknowledged, ledger.refused)]
    result = Result(
        name=fault.name,
        answers=_count_answers(ledger),
        longest=max(each.ended - each.started for each in ledger.answers),
        acknowledged=len(ledger.acknowledged),
        lost=len(ledger.acknowledged) - found[0],
        stale=len(ledger.stale),
        in_doubt=_count_found(stage, ledger.in_doubt),
        well_after=_find_recovery(ledger, mended),
        wrong=[*stage.complaints],
    )
    if found[1]:
        result.wrong.append(f"{found[1]} writes are there that were answered as not done")
    result.wrong.extend(_find_wrong(result, fault.promise))
    return result


def _find_wrong(result: Result, promise: float) -> list[str]:
    errors = sum(each[500] for each in result.answers)
    late = result.well_after is None or result.well_after > promise
    wrong = {
        f"{result.lost} acknowledged writes are lost": result.lost,
        f"{result.stale} acknowledged writes were not found right behind that": result.stale,
        f"{errors} requests were answered 500": errors,
        f"well again after: {result.well}; {promise} s are promised": late,
    }
    return [line for line, holds in wrong.items() if holds]


def _count_answers(ledger: Ledger) -> list[Counter[int]]:
    services = range(ledger.threads // THREADS)
    return [
        Counter(each.status for each in ledger.answers if each.thread // THREADS == service)
        for service in services
    ]


def _count_found(stage: Stage, titles: list[str]) -> int:
    query = "SELECT count(DISTINCT title) FROM marble WHERE title = ANY(%s)"
    ((count,),) = stage.query(query, titles)
    return int(count)


def _find_recovery(ledger: Ledger, mended: float) -> float | None:
    """Return the seconds to the last failure, or None if it goes on failing."""
    last: dict[int, Answer] = {each.thread: each for each in ledger.answers}
    if not all(each.is_good and each.started >= mended for each in last.values()):
        return None
    failures = ledger.failures_since(mended)
    return max((each.ended - mended for each in failures), default=0.0)
