"""A fault, and how one is tried: before, during and after, under the clients' load."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.clients import Answer, Ledger
from tests.faults.scene import Scene

Act = Callable[[Scene], None]
_BEFORE = 1.0  # seconds of undisturbed work
_PATIENCE = 15.0  # seconds behind the promise, to see how long it really takes


def _do_nothing(_: Scene) -> None:
    """Leave the scene as it is."""


@dataclass(frozen=True)
class Fault:
    """`inflict` returns when the cause is gone; from then on the promise counts."""

    name: str
    promise: float  # seconds until everybody is served again
    inflict: Act
    prepare: Act = _do_nothing
    clean: Act = _do_nothing
    find_missing: Callable[[Scene], str | None] = lambda _: None


@dataclass(frozen=True)
class Result:
    """A line of the table, and what is wrong with it."""

    name: str
    answers: Counter[int]
    longest: float
    acknowledged: int
    lost: int
    well_after: float | None
    wrong: list[str]

    def __str__(self) -> str:
        answers = ", ".join(f"{_name(status)}: {n}" for status, n in sorted(self.answers.items()))
        well = "never" if self.well_after is None else f"{self.well_after:.1f} s"
        figures = f"{self.longest:.1f} s | {self.acknowledged} | {self.lost} | {well}"
        return f"| {self.name} | {answers} | {figures} |"


HEAD = (
    "| Fault | Answers | Longest | Acknowledged | Lost | Well again after |\n"
    "|---|---|---|---|---|---|"
)


def _name(status: int) -> str:
    return str(status) if status else "none"


def try_fault(fault: Fault, scene: Scene) -> Result:
    scene.complaints.clear()
    fault.prepare(scene)
    try:
        with scene.clients.running(fault.name) as ledger:
            scene.ledger = ledger
            time.sleep(_BEFORE)
            fault.inflict(scene)
            mended = time.monotonic()
            _watch(ledger, mended, fault.promise + _PATIENCE)
        result = _judge(fault, scene, ledger, mended)
        if result.well_after is None:
            scene.service.restart()  # or all that follows would fail with it
        return result
    finally:
        fault.clean(scene)


def _watch(ledger: Ledger, mended: float, patience: float) -> None:
    while (now := time.monotonic()) < mended + patience:
        if now > mended + 2 and ledger.is_calm(mended, now):
            return
        time.sleep(0.1)


def _judge(fault: Fault, scene: Scene, ledger: Ledger, mended: float) -> Result:
    answers = Counter(each.status for each in ledger.answers)
    lost = _count_lost(scene, ledger)
    well_after = _find_recovery(ledger, mended)
    wrong = [*scene.complaints]
    if lost:
        wrong.append(f"{lost} acknowledged writes are lost")
    if answers[500]:
        wrong.append(f"{answers[500]} requests were answered 500")
    if well_after is None or well_after > fault.promise:
        wrong.append(f"well again only after {well_after} s; {fault.promise} s are promised")
    longest = max(each.ended - each.started for each in ledger.answers)
    acknowledged = len(ledger.acknowledged)
    return Result(fault.name, answers, longest, acknowledged, lost, well_after, wrong)


def _count_lost(scene: Scene, ledger: Ledger) -> int:
    query = "SELECT title FROM marble WHERE title = ANY(%s)"
    found = {title for (title,) in scene.cluster.primary.query(query, ledger.acknowledged)}
    return len({*ledger.acknowledged} - found)


def _find_recovery(ledger: Ledger, mended: float) -> float | None:
    """Return the seconds to the last failure, or None if it goes on failing."""
    last: dict[int, Answer] = {each.thread: each for each in ledger.answers}
    if not all(each.is_good and each.started >= mended for each in last.values()):
        return None
    failures = ledger.failures_since(mended)
    return max((each.ended - mended for each in failures), default=0.0)
