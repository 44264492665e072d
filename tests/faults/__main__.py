"""Inflict faults on the service under load, and print what became of them: `make fault-check`.

Names of faults, or parts of them, choose those that are tried.
"""

import sys
import time
from pathlib import Path

from tests.faults.database import DATABASE_FAULTS
from tests.faults.fault import HEAD, Fault, try_fault
from tests.faults.pgbouncer import POOLER_FAULTS
from tests.faults.processes import PROCESS_FAULTS
from tests.faults.running import run_check
from tests.faults.scene import Scene, running_scene

_FAULTS = (*DATABASE_FAULTS, *PROCESS_FAULTS, *POOLER_FAULTS)
_LIMIT = 600  # seconds, for all


def _run(folder: Path) -> int:
    wanted = [each for each in _FAULTS if each.is_wanted(sys.argv[1:])]
    start = time.monotonic()
    print(HEAD, flush=True)
    with running_scene(folder) as scene:
        wrong = [line for fault in wanted for line in _try(fault, scene)]
    print(f"\n{time.monotonic() - start:.0f} s in all")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


def _try(fault: Fault[Scene], scene: Scene) -> list[str]:
    if missing := fault.find_missing(scene):
        print(f"| {fault.name} | not tried: {missing} | | | | |", flush=True)
        return []
    result = try_fault(fault, scene)
    print(result, flush=True)
    return [f"{fault.name}: {each}" for each in result.wrong]


sys.exit(run_check("tests.faults", _run, _LIMIT))
