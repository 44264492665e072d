"""The table that a check prints: a line for each fault, as soon as it has been tried."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from tests.faults.fault import Fault, Result, S, try_fault

Cells = Callable[[Result], Sequence[str]]


def print_table(
    columns: Sequence[str],
    faults: Iterable[Fault[S]],
    running: AbstractContextManager[S],
    make_cells: Cells,
) -> int:
    """Try the faults that the command line names, or all; return the exit code."""
    wanted = [each for each in faults if each.is_wanted(sys.argv[1:])]
    start = time.monotonic()
    print(f"{_join(columns)}\n{'|---' * len(columns)}|", flush=True)
    with running as stage:
        wrong = [line for each in wanted for line in _try(each, stage, len(columns), make_cells)]
    print(f"\n{time.monotonic() - start:.0f} s in all")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


def _try(fault: Fault[S], stage: S, columns: int, make_cells: Cells) -> list[str]:
    if missing := fault.find_missing(stage):
        print(f"| {fault.name} | not tried: {missing} {'| ' * (columns - 2)}|", flush=True)
        return []
    result = try_fault(fault, stage)
    print(_join(make_cells(result)), flush=True)
    return [f"{fault.name}: {each}" for each in result.wrong]


def _join(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
