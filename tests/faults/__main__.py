"""Inflict faults on the service under load, and print what became of them: `make fault-check`.

Names of faults, or parts of them, choose those that are tried.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from tests.faults.database import DATABASE_FAULTS
from tests.faults.fault import HEAD, Fault, try_fault
from tests.faults.network import INSIDE, find_wrapper
from tests.faults.pgbouncer import POOLER_FAULTS
from tests.faults.processes import PROCESS_FAULTS
from tests.faults.scene import Scene, running_scene, temporary_folder

_FAULTS = (*DATABASE_FAULTS, *PROCESS_FAULTS, *POOLER_FAULTS)
_LIMIT = 600  # seconds, for all


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, to clean up
    if INSIDE in os.environ:
        sys.exit(_run(Path(os.environ[INSIDE])))
    wrapper = find_wrapper()
    with temporary_folder() as folder:
        code = _run_inside(wrapper, folder) if wrapper else _run(folder)
    sys.exit(code)


def _run_inside(wrapper: tuple[str, ...], folder: Path) -> int:
    """Run in namespaces of its own, all of which end when their first process is killed."""
    command = [*wrapper, sys.executable, "-m", "tests.faults", *sys.argv[1:]]
    with subprocess.Popen(command, env=os.environ | {INSIDE: str(folder)}) as process:
        try:
            return process.wait(timeout=_LIMIT + 60)
        finally:
            process.kill()


def _run(folder: Path) -> int:
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(_LIMIT)
    wanted = [each for each in _FAULTS if _is_wanted(each, sys.argv[1:])]
    start = time.monotonic()
    print(HEAD, flush=True)
    with running_scene(folder) as scene:
        wrong = [line for fault in wanted for line in _try(fault, scene)]
    print(f"\n{time.monotonic() - start:.0f} s in all")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


def _is_wanted(fault: Fault, parts: list[str]) -> bool:
    return not parts or any(part in fault.name for part in parts)


def _try(fault: Fault, scene: Scene) -> list[str]:
    if missing := fault.find_missing(scene):
        print(f"| {fault.name} | not tried: {missing} | | | | |", flush=True)
        return []
    result = try_fault(fault, scene)
    print(result, flush=True)
    return [f"{fault.name}: {each}" for each in result.wrong]


def _give_up(_: int, __: FrameType | None) -> None:
    raise AssertionError(f"this may take {_LIMIT} s")


main()
